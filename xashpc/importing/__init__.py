"""Importing: existing spectra become results of the same kind as computed ones."""

from __future__ import annotations

from xashpc.importing.kinds import import_kinds, import_spectra

__all__ = ["import_kinds", "import_spectra"]
