"""Keras layers of the L-edge networks: polynomial features, locally connected, broadening."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import keras
import numpy as np
from keras import ops

from xashpc.errors import ModelError

PACKAGE = "xashpc"


@keras.saving.register_keras_serializable(PACKAGE)
class PolynomialFeatures(keras.layers.Layer):
    """All products of the inputs up to total degree M: Lueder 2021's feature step.

    Parameters
    ----------
    degree : int
        M; 1 passes the inputs on.
    columns : sequence of int, optional
        The inputs used; all by default.
    """

    def __init__(self, degree: int, columns=None, **settings) -> None:
        super().__init__(**settings)
        self.degree, self.columns = degree, None if columns is None else list(columns)

    def build(self, input_shape) -> None:
        inputs = range(int(input_shape[-1])) if self.columns is None else range(len(self.columns))
        self._products = [
            np.array(list(combinations_with_replacement(inputs, total))).T
            for total in range(2, self.degree + 1)
        ]

    def call(self, inputs):
        if self.columns is not None:
            inputs = ops.take(inputs, self.columns, axis=1)
        parts = [inputs]
        for columns in self._products:
            product = ops.take(inputs, columns[0], axis=1)
            for column in columns[1:]:
                product = product * ops.take(inputs, column, axis=1)
            parts.append(product)
        return ops.concatenate(parts, axis=1)

    def get_config(self) -> dict:
        return {**super().get_config(), "degree": self.degree, "columns": self.columns}


def output_length(length: int, kernel: int, stride: int, padding: str) -> int:
    """Positions that a layer leaves of ``length``; 0 or less where the kernel does not fit."""
    if padding == "same":
        return -(-length // stride)
    return (length - kernel) // stride + 1


@keras.saving.register_keras_serializable(PACKAGE)
class LocallyConnected(keras.layers.Layer):
    """A convolution in one dimension whose weights differ from position to position.

    Keras 3 has none. Windows are gathered and meet their weights in one batched matrix product.

    Parameters
    ----------
    filters, kernel_size, stride : int
    padding : {"valid", "same"}
        ``same`` pads with zeros as Keras's convolutions do.
    activation : str, optional
    seed : int
        Of the initial weights (He et al., ICCV 2015, uniform over a window's fan-in).

    Raises
    ------
    ModelError
        If the kernel is longer than the sequence and nothing is padded.
    """

    def __init__(
        self, filters: int, kernel_size: int, stride: int = 1, padding: str = "valid",
        activation: str | None = None, seed: int = 0, **settings,
    ) -> None:  # fmt: skip
        super().__init__(**settings)
        self.filters, self.kernel_size, self.stride = filters, kernel_size, stride
        self.padding, self.activation, self.seed = padding, activation, seed
        self._activate = keras.activations.get(activation)

    def build(self, input_shape) -> None:
        length, channels = int(input_shape[1]), int(input_shape[2])
        positions = output_length(length, self.kernel_size, self.stride, self.padding)
        if positions < 1:
            raise ModelError(
                f"a kernel of {self.kernel_size} does not fit {length} positions; use padding "
                "'same', a shorter kernel, a longer sequence or fewer layers"
            )
        self._pad = (0, 0)
        if self.padding == "same":
            total = max((positions - 1) * self.stride + self.kernel_size - length, 0)
            self._pad = (total // 2, total - total // 2)
        starts = np.arange(positions) * self.stride
        self._window = (starts[:, None] + np.arange(self.kernel_size)).reshape(-1)
        self._positions, self._width = positions, self.kernel_size * channels
        limit = math.sqrt(6 / self._width)
        self.kernel = self.add_weight(
            shape=(positions, self._width, self.filters), name="kernel",
            initializer=keras.initializers.RandomUniform(-limit, limit, seed=self.seed),
        )  # fmt: skip
        self.bias = self.add_weight(
            shape=(positions, 1, self.filters), name="bias", initializer="zeros"
        )

    def call(self, inputs):
        x = ops.transpose(inputs, (1, 0, 2))  # (length, batch, channels): positions lead
        if self._pad != (0, 0):
            x = ops.pad(x, (self._pad, (0, 0), (0, 0)))
        windows = ops.take(x, self._window, axis=0)
        shape = (self._positions, self.kernel_size, -1, x.shape[2])
        windows = ops.transpose(ops.reshape(windows, shape), (0, 2, 1, 3))
        windows = ops.reshape(windows, (self._positions, -1, self._width))
        found = self._activate(ops.matmul(windows, self.kernel) + self.bias)
        return ops.transpose(found, (1, 0, 2))

    def compute_output_shape(self, input_shape):
        positions = output_length(
            int(input_shape[1]), self.kernel_size, self.stride, self.padding
        )
        return (input_shape[0], positions, self.filters)

    def get_config(self) -> dict:
        names = ("filters", "kernel_size", "stride", "padding", "activation", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable(PACKAGE)
class Broadening(keras.layers.Layer):
    """Widths applied to the L3 and L2 parts that a network gives, then box normalisation.

    What the model Hamiltonian does last is known exactly (Lueder 2021, eq. 3 and below it):
    intensity below the step is convolved with the Lorentzian of Gamma1, above with that of Gamma2,
    the sum with the Gaussian, and each spectrum is scaled to 0..1. So a network need not learn what
    widths do, and its parts, spectra of the least widths, do not depend on them.

    Parameters
    ----------
    step_ev : float
        Energy between channels.
    columns : (int, int, int)
        Columns of sigma, Gamma1 and Gamma2 among the inputs.
    low, high : three float
        Ranges (eV, full widths at half maximum) that the inputs' 0..1 stand for.
    """

    def __init__(self, step_ev: float, columns, low, high, **settings) -> None:
        super().__init__(**settings)
        self.step_ev = step_ev
        self.columns, self.low, self.high = list(columns), list(low), list(high)

    def build(self, parts_shape, widths_shape) -> None:
        length = int(parts_shape[-1])
        # Twice the window, so that a tail that leaves on one side does not come back on the other.
        self._length, self._padded = length, 2 ** math.ceil(math.log2(2 * length))
        frequency = np.arange(self._padded // 2 + 1) / (self._padded * self.step_ev)
        # Fourier transforms of unit area: exp(-pi G |f|) of a Lorentzian of full width G, and
        # exp(-(pi s f)^2 / (4 ln 2)) of a Gaussian of full width s.
        self._lorentzian = (-math.pi * frequency)[None, None].astype("float32")
        self._gaussian = (-((math.pi * frequency) ** 2) / (4 * math.log(2)))[None, None].astype(
            "float32"
        )

    def call(self, parts, widths):
        low, high = np.array(self.low, "float32"), np.array(self.high, "float32")
        found = low + (high - low) * ops.take(widths, self.columns, axis=1)
        # Lorentzian widths add up, Gaussian ones as squares: what is missing to the least widths.
        sigma2, gamma = found[:, None, :1] ** 2 - low[0] ** 2, found[:, 1:, None] - low[1:, None]
        kernel = ops.exp(sigma2 * self._gaussian + gamma * self._lorentzian)
        padded = ops.pad(parts, ((0, 0), (0, 0), (0, self._padded - self._length)))
        real, imaginary = ops.rfft(padded)
        real, imaginary = ops.sum(real * kernel, axis=1), ops.sum(imaginary * kernel, axis=1)
        spectra = ops.irfft((real, imaginary), self._padded)[:, : self._length]
        least = ops.min(spectra, axis=1, keepdims=True)
        height = ops.max(spectra, axis=1, keepdims=True) - least
        return (spectra - least) / (height + keras.config.epsilon())

    def compute_output_shape(self, parts_shape, widths_shape):
        return (parts_shape[0], parts_shape[-1])

    def get_config(self) -> dict:
        names = ("step_ev", "columns", "low", "high")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
