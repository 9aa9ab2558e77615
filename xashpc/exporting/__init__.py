"""Exports: spectra of the store as files that other programs read, with their provenance."""

from __future__ import annotations

from xashpc.exporting.write import FORMATS, Exported, export

__all__ = ["FORMATS", "Exported", "export"]
