"""Compare a campaign's Fireworks, requests, documents and datasets with each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from fireworks import LaunchPad

from xashpc.errors import DatasetError
from xashpc.flows.doctor import Problem
from xashpc.flows.ledge_audit import audit_ledge
from xashpc.flows.ledge_config import KIND as LEDGE
from xashpc.flows.workflow import TASKS_MODULE
from xashpc.storage import Store, open_dataset
from xashpc.storage.integrity import PROJECTION, alteration


def audit_campaign(launchpad: LaunchPad, store: Store, campaign: Mapping) -> Iterator[Problem]:
    """What does not fit together in one campaign. Reads only.

    Parameters
    ----------
    campaign : mapping
        Its document in the store.
    """
    name = campaign["_id"]
    if (campaign.get("config") or {}).get("kind") == LEDGE:
        yield from audit_ledge(launchpad, store, campaign)
        return
    yield from _unfinished(launchpad, store, name)
    yield from _datasets(launchpad, store, name, Path(campaign.get("results") or "."))


def audit_documents(store: Store, campaigns: set[str]) -> Iterator[Problem]:
    """Computed spectra that no known campaign asked for, or that do not say what they are of."""
    nothing = {"structure": None, "parameters": {}}
    strange = [{"campaigns": {"$nin": sorted(campaigns)}}, {"engine_version": None}, nothing]
    query = {"kind": "computed", "$or": strange}
    for document in store.iter_documents(query, {"campaigns": 1}):
        key = document["_id"][:12]
        if set(document["campaigns"]) & campaigns:
            yield Problem("no-lineage", f"spectrum {key} lacks its structure or engine version")
        else:
            yield Problem("no-lineage", f"spectrum {key} belongs to no campaign of this store")


def audit_contents(launchpad: LaunchPad, store: Store) -> Iterator[Problem]:
    """Spectra whose numbers, outcome or request somebody altered in the database."""
    for document in store.iter_documents({}, {**PROJECTION, "campaigns": 1}):
        what = alteration(document)
        if what is not None:
            key = document["_id"]
            again = _makers(launchpad, document)
            yield Problem(
                "altered",
                f"spectrum {key[:12]}: {what}"
                + ("" if again else "; no Firework here made it: import or compute it again"),
                (lambda k=key, f=again: _make_again(launchpad, store, k, f)) if again else None,
            )


def _makers(launchpad: LaunchPad, document: Mapping) -> list[int]:
    """Fireworks that computed or imported a spectrum."""
    if document.get("kind") == "imported":
        name = f"{{{{{TASKS_MODULE}.ImportTask}}}}"
        query = {"spec.campaign_id": {"$in": document["campaigns"]}, "spec._tasks._fw_name": name}
    else:
        query = {"spec._tasks.keys": document["_id"]}
    return sorted(found["fw_id"] for found in launchpad.fireworks.find(query, {"fw_id": 1}))


def _make_again(launchpad: LaunchPad, store: Store, key: str, makers: list[int]) -> bool:
    """READY again, with all that follows: datasets and reports held the altered numbers."""
    done = store.discard_altered(key)
    for number in makers:
        launchpad.rerun_fw(number)
    return done


def _unfinished(launchpad: LaunchPad, store: Store, campaign: str) -> Iterator[Problem]:
    keys = store.unfinished(campaign)
    if not keys:
        return
    stored = store.existing(keys)
    for key in stored:
        yield Problem(
            "uncounted",
            f"{campaign}: spectrum {key[:12]} is stored and not counted",
            lambda k=key: store.join_campaign(k, campaign),
        )
    missing = set(keys) - set(stored)
    query = {"spec.campaign_id": campaign, "spec._tasks.keys": {"$exists": True}}
    wanted = {"fw_id": 1, "state": 1, "spec._tasks.keys": 1}
    held: set[str] = set()
    for firework in launchpad.fireworks.find(query, wanted):
        chunk = {key for task in firework["spec"]["_tasks"] for key in task.get("keys", ())}
        held |= chunk
        lost = chunk & missing
        if lost and firework["state"] == "COMPLETED":
            yield Problem(
                "unstored",
                f"{campaign}: {len(lost)} spectra of Firework {firework['fw_id']} are not stored, "
                "though it is COMPLETED",
                lambda number=firework["fw_id"]: bool(launchpad.rerun_fw(number)),
            )
    if held and missing - held:
        yield Problem(
            "unstored", f"{campaign}: no Firework computes {len(missing - held)} of its requests"
        )


def _datasets(
    launchpad: LaunchPad, store: Store, campaign: str, directory: Path
) -> Iterator[Problem]:
    """Datasets that cannot be read to the end, or whose rows are of other spectra."""
    query = {"spec.campaign_id": campaign, "state": "COMPLETED", "name": {"$regex": ": process$"}}

    def again() -> bool:
        found = [f["fw_id"] for f in launchpad.fireworks.find(query, {"fw_id": 1})]
        for number in found:
            launchpad.rerun_fw(number)
        return bool(found)

    for path in sorted(directory.glob("*.zarr")):
        try:
            dataset = open_dataset(path).load()
        # Truncated or foreign bytes come back as whatever the codec raises.
        except (DatasetError, OSError, ValueError, RuntimeError) as error:
            yield Problem("dataset-broken", f"{path} cannot be read: {error}", again)
            continue
        keys = [str(key) for key in dataset["key"].values]
        gone = set(keys) - set(store.existing(keys))
        if gone or len(set(keys)) != len(keys):
            yield Problem(
                "dataset-stale",
                f"{path}: {len(gone)} rows without a document, "
                f"{len(keys) - len(set(keys))} rows twice",
                again,
            )
