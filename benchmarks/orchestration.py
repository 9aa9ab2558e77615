"""What orchestration costs: wall of a chunked campaign over wall of the raw engine calls.

    python benchmarks/orchestration.py [--sites 6] [--chunk-size 3]

Both halves run the same FEFF10 input decks one after the other on one core: first the engine's
own command in plain folders, then a campaign through FireWorks, custodian and the embedded
database with one worker. Structures are AMCSD minerals that take some 15 to 30 s each.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

from fireworks import LaunchPad
from fireworks.core.rocket_launcher import launch_rocket

from xashpc.calculation import Calculation
from xashpc.engines import get_engine
from xashpc.flows.config import CampaignConfig
from xashpc.flows.planning import plan_campaign
from xashpc.flows.workflow import campaign_workflow
from xashpc.storage import Store, server

# Minerals that need no repair: a repair would run more than the raw half does.
MINERALS = [17904, 17364, 16936, 10406, 14331, 13332, 10323, 12693]


def raw_wall(calculations: list[Calculation], folder: Path) -> float:
    """Seconds for the engine's own command, deck by deck."""
    engine = get_engine("feff")
    wall = 0.0
    for calculation in calculations:
        deck = folder / calculation.key[:12]
        deck.mkdir(parents=True)
        engine.write_inputs(calculation, deck, calculation.settings)
        start = time.perf_counter()
        with (deck / "log").open("wb") as log:
            subprocess.run(engine.command(), cwd=deck, stdout=log, stderr=log, check=True)
        wall += time.perf_counter() - start
    return wall


def campaign_wall(config: CampaignConfig, folder: Path) -> tuple[float, float]:
    """Seconds of the chunk Fireworks (check-out to completion), and of the whole campaign."""
    info = server.start(folder / "database")
    try:
        settings = server.launchpad_settings(info)
        launchpad = LaunchPad(
            host=settings["host"], port=settings["port"], name=settings["name"], strm_lvl="ERROR"
        )
        launchpad.reset("", require_password=False)
        with Store(info.uri, settings["name"]) as store:
            store.prepare()
            start = time.perf_counter()
            launchpad.add_wf(campaign_workflow(config))
            chunks = 0.0
            while True:
                begin = time.perf_counter()
                ready = launchpad.fireworks.find_one({"state": "READY"}, {"name": 1})
                if ready is None or not launch_rocket(launchpad, strm_lvl="ERROR"):
                    break
                if ": chunk" in ready["name"]:
                    chunks += time.perf_counter() - begin
            counts = store.count_outcomes(config.campaign_id)
            assert counts["remaining"] == counts["quarantined"] == 0, counts
            return chunks, time.perf_counter() - start
    finally:
        server.stop(folder / "database")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=6)
    parser.add_argument("--chunk-size", type=int, default=3)
    arguments = parser.parse_args()
    config = CampaignConfig.from_dict(
        {
            "name": "orchestration",
            "structures": [{"kind": "amcsd", "ids": MINERALS}],
            "absorbers": ["Ti", "V", "Cr", "Mn", "Fe", "Co"],
            "profile": "fast",
            "max_sites": arguments.sites,
            "chunk_size": arguments.chunk_size,
            "report": False,
        }
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        calculations = plan_campaign(config).calculations
        raw = raw_wall(calculations, folder / "raw")
        chunks, whole = campaign_wall(config, folder)
    print(f"| {len(calculations)} FEFF10 sites, one core | wall (s) | over raw |")
    print("|---|---:|---:|")
    print(f"| raw engine commands | {raw:.1f} | 1.000 |")
    print(f"| chunk Fireworks, check-out to completion | {chunks:.1f} | {chunks / raw:.3f} |")
    print(f"| whole campaign with planning and processing | {whole:.1f} | {whole / raw:.3f} |")


if __name__ == "__main__":
    main()
