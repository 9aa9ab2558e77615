"""Import an optional dependency, or say which extra of the package brings it."""

from __future__ import annotations

import importlib
from types import ModuleType

from xashpc.errors import MissingExtraError


def require(module: str, *, extra: str, purpose: str, package: str | None = None) -> ModuleType:
    """Import ``module``.

    Raises
    ------
    MissingExtraError
        Naming ``extra``, when the top-level package of ``module`` is absent. An error inside an
        installed package is raised as it is: it is not a missing extra.
    """
    top = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != top:
            raise
        raise MissingExtraError(package or top, extra, purpose) from error
