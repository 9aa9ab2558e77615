"""Carry chunks out of the launchpad as bundles, and their results back into the store."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fireworks import FWAction, FWorker, LaunchPad

from xashpc.errors import NotFoundError
from xashpc.flows.bundle_files import Bundle, BundleError, Chunk
from xashpc.flows.config import open_campaign
from xashpc.flows.requeue import requeue
from xashpc.flows.workflow import TASKS_MODULE
from xashpc.storage import Store

CHUNK_TASK = f"{{{{{TASKS_MODULE}.ChunkTask}}}}"
PREFIX = "xashpc-bundle"


def holder_name(bundle_id: str) -> str:
    """FWorker name of the launches that hold a bundle's chunks."""
    return f"{PREFIX}:{bundle_id}"


def is_held(worker_name: str) -> bool:
    """Whether a launch of this FWorker is of a bundle, of which nobody here can know how it is."""
    return worker_name.startswith(f"{PREFIX}:")


def create_bundle(
    launchpad: LaunchPad, store: Store, campaign: str, n_chunks: int, directory: Path
) -> Bundle:
    """Take READY chunks out of the queue into a folder; they are RESERVED until it is ingested.

    Raises
    ------
    NotFoundError
        If there is no such campaign, or none of its chunks is READY.
    BundleError
        If something stands in the folder's place.
    """
    if directory.exists():
        raise BundleError(f"{directory} is there already; give another folder")
    config = open_campaign(store, campaign)
    bundle_id = uuid.uuid4().hex[:12]
    query = {"spec.campaign_id": campaign, "spec._tasks._fw_name": CHUNK_TASK}
    worker = FWorker(holder_name(bundle_id), query=query)
    chunks: list[Chunk] = []
    try:
        while len(chunks) < n_chunks:
            firework, launch_id = launchpad.reserve_fw(worker, str(directory), os.uname().nodename)
            if firework is None:
                break
            keys = tuple(key for task in firework.spec["_tasks"] for key in task["keys"])
            chunks.append(Chunk(firework.fw_id, launch_id, keys))
        if not chunks:
            raise NotFoundError(f"no chunk of {campaign} is READY: see 'lpad get_fws -s READY'")
        bundle = Bundle(directory, bundle_id, config, tuple(chunks))
        bundle.write(store.requests(campaign, bundle.keys))
    except BaseException:
        release(launchpad, bundle_id)
        raise
    return bundle


@dataclass
class Ingested:
    """What became of a bundle.

    Attributes
    ----------
    counts : Counter
        Results ``stored``, ``present`` and ``missing``; chunks ``completed`` and ``given back``.
    refused : list of str
        Why results were not taken, each naming its file.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)


def ingest_bundle(launchpad: LaunchPad, store: Store, directory: Path) -> Ingested:
    """Store what a bundle brought back, and give back what it did not; repeating it is harmless.

    Raises
    ------
    BundleError
        If it is no bundle.
    NotFoundError
        If it is of another database.
    """
    bundle = Bundle.open(directory)
    campaign = bundle.config.campaign_id
    done = Ingested()
    # What was asked, as the store has it: a bundle was in other hands.
    for calculation in store.requests(campaign, bundle.keys):
        key = calculation.key
        if not bundle.has_result(key):
            done.counts["missing"] += 1
            continue
        try:
            result = bundle.result(key, calculation)
        except BundleError as error:
            done.refused.append(str(error))
            continue
        done.counts["stored" if store.put_result(result, campaign) else "present"] += 1
    for chunk in bundle.chunks:
        _settle(launchpad, store, campaign, chunk, done.counts)
    return done


def _settle(
    launchpad: LaunchPad, store: Store, campaign: str, chunk: Chunk, counts: Counter[str]
) -> None:
    """Complete a chunk whose spectra are all stored, else make it READY again."""
    held = {"fw_id": chunk.fw_id, "state": "RESERVED", "launches": chunk.launch_id}
    if not launchpad.fireworks.count_documents(held, limit=1):
        return  # settled by an earlier ingestion, or taken back by somebody
    statuses = store.existing(chunk.keys)
    whole = set(statuses) == set(chunk.keys)
    if whole and all(store.join_campaign(key, campaign) for key in chunk.keys):
        action = FWAction(stored_data=dict(Counter(statuses.values())))
        launchpad.complete_launch(chunk.launch_id, action, "COMPLETED")
        counts["completed"] += 1
    else:
        requeue(launchpad, chunk.fw_id)
        counts["given back"] += 1


def held_chunks(launchpad: LaunchPad) -> Iterator[tuple[str, int, str]]:
    """Bundle, Firework and folder of each chunk that is away."""
    query = {"fworker.name": {"$regex": f"^{PREFIX}:"}, "state": "RESERVED"}
    for launch in launchpad.launches.find(query, {"fw_id": 1, "fworker.name": 1, "launch_dir": 1}):
        yield launch["fworker"]["name"].partition(":")[2], launch["fw_id"], launch["launch_dir"]


def release(launchpad: LaunchPad, bundle_id: str) -> int:
    """Make READY again what a bundle holds that will not come back; how many chunks."""
    chunks = [fw_id for name, fw_id, _ in held_chunks(launchpad) if name == bundle_id]
    for fw_id in chunks:
        requeue(launchpad, fw_id)
    return len(chunks)
