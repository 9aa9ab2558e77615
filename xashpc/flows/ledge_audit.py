"""Compare the blocks and the datasets of a campaign of model spectra with each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from fireworks import LaunchPad

from xashpc.errors import DatasetError
from xashpc.flows import local
from xashpc.flows.doctor import Problem
from xashpc.flows.ledge_blocks import block_key, is_written, table_path
from xashpc.flows.ledge_config import LedgeConfig
from xashpc.storage import Store
from xashpc.storage.spectra_table import SpectraTable, open_table


def audit_ledge(launchpad: LaunchPad, store: Store, campaign: Mapping) -> Iterator[Problem]:
    """What does not fit together. Reads only, and datasets only once the campaign is done.

    Parameters
    ----------
    campaign : mapping
        Its document in the store.
    """
    name = campaign["_id"]
    blocks = {block["_id"]: block for block in store.blocks.headers(name)}
    stored = set(blocks)

    def again() -> bool:
        # A chunk that finds all its blocks well ends at once; the last task looks at all of them.
        return bool(local.rerun_from(launchpad, name, "chunk .*"))

    def afresh(key: str) -> bool:
        return store.blocks.discard(key) and again()

    for key, block in list(blocks.items()):
        if block_key(block["request"]) != key:
            del blocks[key]
            yield Problem(
                "altered",
                f"{name}: block {key[:12]}: its request does not give its content key",
                lambda k=key: afresh(k),
            )
    if campaign.get("stage") != "done":
        return
    config = LedgeConfig.from_dict(campaign["config"])
    for ion in config.ions:
        path = table_path(Path(campaign["results"]), ion)
        try:
            keys = open_table(path, verify=True)["key"].values.tolist()
        except DatasetError as error:
            yield Problem("dataset-broken", str(error), lambda p=path: _doubt(p) and again())
            continue
        if gone := set(keys) - stored:
            yield Problem("dataset-stale", f"{path}: {len(gone)} blocks without a document", again)
        table = SpectraTable(path)
        for key in keys:
            block = blocks.get(key)
            # The dataset is as it was finished, by its checksums: it is the document that changed.
            if block and not is_written(config, table, block["request"], block["spectra_crc32"]):
                yield Problem(
                    "altered",
                    f"{name}: block {key[:12]} of {ion}: its checksum is not its spectra's",
                    lambda k=key: afresh(k),
                )


def _doubt(path: Path) -> bool:
    """A dataset that is not what its list of files says is finished again; one that is gone, made.

    Always True.
    """
    try:
        SpectraTable(path).doubt()
    except DatasetError:  # absent: the first chunk makes it
        pass
    return True
