"""The nine parameters of a 2p spectrum: their order, their ranges, and what is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from xashpc.errors import InputError

#: Columns of a parameter array: crystal field (eV), scaling of Coulomb (F) and exchange (G)
#: integrals, temperature (K), full widths at half maximum (eV) of the Gaussian and of the
#: Lorentzian below and above the step between L3 and L2.
NAMES = ("Dq", "Ds", "Dt", "S1", "S2", "T", "sigma", "Gamma1", "Gamma2")
#: Weights of the channels z and xy (the mean of x and y) in each polarisation.
POLARISATIONS = {"isotropic": (1 / 3, 2 / 3), "z": (1.0, 0.0), "xy": (0.0, 1.0)}
#: Sampling ranges: Lueder 2021, table 1.
PAPER_RANGES = MappingProxyType(
    {
        "Dq": (0.0, 0.2), "Ds": (-1.4, 1.4), "Dt": (-0.8, 0.8), "S1": (0.6, 1.0), "S2": (0.6, 1.0),
        "T": (1.0, 1000.0), "sigma": (0.05, 0.20), "Gamma1": (0.3, 1.0), "Gamma2": (0.3, 1.2),
    }
)  # fmt: skip
# A scaling of 1 is Hartree-Fock; solids are fitted with 0.6 to 1 (de Groot 2005, Coord. Chem. Rev.
# 249, 31). Beyond 1.5 the number is a slip, such as 80 for 80 %.
MAX_SCALING = 1.5
# The widest range of Lueder 2021, table 1, ends at 1.4 eV (Ds). What is far beyond is in another
# unit, such as 1000 for a Dq in cm^-1, and its spectrum would be zero all over the window.
MAX_FIELD_EV = 10.0


def parameter_array(parameters: np.ndarray | Mapping[str, object], *, columns=NAMES) -> np.ndarray:
    """Checked parameters as an (n, len(columns)) array.

    Parameters
    ----------
    parameters : (n, 9) or (9,) array, or mapping of the names in ``columns`` to numbers or (n,)
        See :data:`NAMES`. An (n, 9) array is also taken where ``columns`` are its first five.

    Raises
    ------
    InputError
        ``bad-parameter``, naming the parameter, the row and the value.
    """
    if isinstance(parameters, Mapping):
        unknown = sorted(set(parameters) - set(NAMES))
        missing = [name for name in columns if name not in parameters]
        if unknown or missing:
            raise InputError(
                "bad-parameter",
                f"expected the parameters {', '.join(columns)}; missing: {missing or 'none'}, "
                f"unknown: {unknown or 'none'}",
            )
        given = [_numbers(name, parameters[name]) for name in columns]
        try:
            array = np.stack(np.broadcast_arrays(*given), axis=-1)
        except ValueError as error:
            lengths = ", ".join(f"{n} {len(v)}" for n, v in zip(columns, given, strict=True))
            raise InputError(
                "bad-parameter",
                f"parameters must be single numbers or of one length; found {lengths}",
            ) from error
    else:
        array = np.atleast_2d(_numbers("an array of parameters", parameters))
    if array.ndim != 2 or array.shape[1] not in (len(columns), len(NAMES)):
        raise InputError(
            "bad-parameter",
            f"expected an array (n, {len(columns)}) of {', '.join(columns)}; found {array.shape}",
        )
    array = array[:, : len(columns)]
    for column, name in enumerate(columns):
        check_values(name, array[:, column])
    return array


def _numbers(name: str, values: object) -> np.ndarray:
    try:
        return np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError) as error:
        raise InputError(
            "bad-parameter", f"{name} must hold numbers; found {values!r} ({error})"
        ) from error


def check_values(
    name: str, values: np.ndarray, places: Callable[[int], str] = "in row {}".format
) -> None:
    """Raise InputError unless all ``values`` of a parameter can be meant."""
    field = (np.abs(values) <= MAX_FIELD_EV, f"an energy within {MAX_FIELD_EV} eV of zero")
    rules = {
        "Dq": field,
        "Ds": field,
        "Dt": field,
        "S1": ((values >= 0) & (values <= MAX_SCALING), f"between 0 and {MAX_SCALING}"),
        "S2": ((values >= 0) & (values <= MAX_SCALING), f"between 0 and {MAX_SCALING}"),
        "T": (values > 0, "a temperature above 0 K"),
        "sigma": (values >= 0, "a width of 0 eV or more"),
        "Gamma1": (values > 0, "a width above 0 eV"),
        "Gamma2": (values > 0, "a width above 0 eV"),
    }
    good, wanted = rules.get(name, (np.ones(len(values), dtype=bool), "a finite number"))
    bad = np.nonzero(~(good & np.isfinite(values)))[0]
    if len(bad):
        raise InputError(
            "bad-parameter",
            f"{name} must be {wanted}; found {float(values[bad[0]])!r} {places(bad[0])}"
            + (f" and {len(bad) - 1} more" if len(bad) > 1 else ""),
        )
