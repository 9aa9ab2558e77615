"""The type of ``--plot``: a name that ends in a format which can be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

# What matplotlib draws with its own means and Pillow's.
FORMATS = (".png", ".pdf", ".svg", ".eps", ".jpg", ".jpeg", ".tif", ".tiff", ".webp")


class FigurePath(click.Path):
    """A file for a figure, refused before hours of work if no format belongs to its name."""

    def __init__(self) -> None:
        super().__init__(dir_okay=False, path_type=Path)

    def convert(
        self, value: Any, param: click.Parameter | None, context: click.Context | None
    ) -> Path:
        path = Path(super().convert(value, param, context))
        if path.suffix.lower() not in FORMATS:
            self.fail(f"{path}: the name must end in {', '.join(FORMATS)}", param, context)
        return path
