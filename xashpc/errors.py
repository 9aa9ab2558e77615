"""The one tree of errors: each says what failed, what was expected, what was found, what to do."""

from __future__ import annotations


class XasHpcError(Exception):
    """Root of every error that xashpc raises on purpose."""


class ConfigError(XasHpcError, ValueError):
    """A workflow, profile or launcher setting is unknown, missing or out of range."""


class InputError(XasHpcError, ValueError):
    """An input was refused. ``code`` is a stable, machine-readable name of the reason.

    Attributes
    ----------
    code : str
        For instance ``"disordered"`` or ``"absorber-missing"``: what campaigns count.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (self.code, str(self))


class FilterError(InputError):
    """A question to the store was refused; ``code`` names why, e.g. ``"operator-refused"``."""


class StructureError(InputError):
    """A structure cannot be read or cannot be calculated."""


class SourceError(XasHpcError, RuntimeError):
    """A source of structures or spectra does not answer, or answers with what cannot be used."""


class SpectrumError(XasHpcError, ValueError):
    """Energies or intensities do not form a spectrum."""


class MissingExtraError(XasHpcError, ImportError):
    """An optional dependency is absent; the message names the extra that brings it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'xashpc[{extra}]'"
        )
        self.package, self.extra, self.purpose = package, extra, purpose

    def __reduce__(self):
        return type(self), (self.package, self.extra, self.purpose)


class EngineError(XasHpcError, RuntimeError):
    """An engine failed. ``code`` names the failure as the recovery handlers do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (self.code, str(self))


class EngineNotFoundError(EngineError):
    """The executable or package behind an engine is absent."""

    def __init__(self, message: str) -> None:
        super().__init__("engine-not-found", message)

    def __reduce__(self):
        return type(self), (str(self),)


class OutputError(EngineError):
    """An engine's output is absent, partial or not physical."""


class StoreError(XasHpcError, RuntimeError):
    """The results store refused or failed an operation."""


class StoreUnavailableError(StoreError, ConnectionError):
    """No database answers at the configured address."""


class DocumentError(StoreError, ValueError):
    """A document does not match its JSON Schema."""


class NotFoundError(StoreError, LookupError):
    """Nothing in the store has this key."""


class DatasetError(XasHpcError, ValueError):
    """A zarr dataset is absent, partial, or does not hold what was asked for."""


class ModelError(XasHpcError, ValueError):
    """A model cannot be built, trained or applied as asked."""


class PredictionError(ModelError):
    """A saved model cannot be opened or applied; ``code`` names why, e.g. ``"element-mismatch"``.

    Attributes
    ----------
    code : str
        Stable and machine-readable, as of :class:`InputError`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self):
        return type(self), (self.code, str(self))
