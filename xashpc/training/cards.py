"""A saved network is two files, ``<name>.keras`` and its card ``<name>.json``: both or none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xashpc.errors import PredictionError

if TYPE_CHECKING:
    import keras


def write_network(network: keras.Model, card: dict[str, Any], path: Path) -> Path:
    """Write network and card; both files are complete or absent, the card last.

    Parameters
    ----------
    path : Path
        Of the ``.keras`` file; folders above it are made.

    Returns
    -------
    path
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    card_path = path.with_suffix(".json")
    # Keras judges a file by its suffix, so the temporary name keeps it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    network.save(temporary)
    card_temporary = path.with_name(f".{os.getpid()}.{card_path.name}")
    card_temporary.write_text(json.dumps(card, indent=1), encoding="utf-8")
    card_path.unlink(missing_ok=True)  # an old card must never stand beside a new network
    temporary.replace(path)
    card_temporary.replace(card_path)
    return path


def read_card(path: Path, version: int, what: str = "network") -> dict[str, Any]:
    """The card beside the network at ``path``.

    Parameters
    ----------
    path : Path
        Of the ``.keras`` file; ``.with_suffix`` names the card, as :func:`write_network` does.
    version : int
        The ``schema_version`` that is read.
    what : str
        ``"classifier"`` or ``"network"``, for the messages.

    Raises
    ------
    ModelError
        If either file is absent, the card is no card, or of another version; as
        :class:`~xashpc.errors.PredictionError` with a code.
    """
    card = card_of(path, what)
    check_version(card, version, path.with_suffix(".json"), f"Train the {what} again")
    return card


def card_of(path: Path, what: str = "network") -> dict[str, Any]:
    """As :func:`read_card`, of any version.

    Raises
    ------
    ModelError
        With the code ``file-missing`` or ``card-damaged``.
    """
    card_path = path.with_suffix(".json")
    if not path.is_file() or not card_path.is_file():
        raise PredictionError(
            "file-missing",
            f"a saved {what} is two files, {path.name} and {card_path.name}, in "
            f"{path.parent}; at least one is absent. Train it again",
        )
    try:
        card = json.loads(card_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise PredictionError(
            "card-damaged", f"{card_path} is no card: {error}. Train the {what} again"
        ) from error
    if not isinstance(card, dict):
        raise PredictionError(
            "card-damaged", f"{card_path} is no card: expected a mapping. Train the {what} again"
        )
    return card


def check_version(card: dict[str, Any], version: int, path: Path, advice: str) -> None:
    """Refuse a card of another version, saying whether it is newer than this xashpc.

    Raises
    ------
    ModelError
        With the code ``card-newer`` or ``card-version``.
    """
    found = card.get("schema_version")
    if found == version:
        return
    if isinstance(found, int) and found > version:
        raise PredictionError(
            "card-newer",
            f"{path} has version {found}, and this xashpc reads {version}: a newer xashpc wrote "
            "it. Update xashpc",
        )
    raise PredictionError(
        "card-version", f"{path} has version {found}; this xashpc reads {version}. {advice}"
    )


