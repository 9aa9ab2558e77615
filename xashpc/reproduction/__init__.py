"""The published results that the package was made for, computed again from available data."""

from __future__ import annotations

from xashpc.reproduction.papers import PAPERS, reproduce
from xashpc.reproduction.result import Reproduction, Row

__all__ = ["PAPERS", "Reproduction", "Row", "reproduce"]
