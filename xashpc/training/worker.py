"""One rank: ``python -m xashpc.training.worker OPTIONS.json [--resume]``, as launchers start it."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from pathlib import Path

from xashpc.errors import XasHpcError
from xashpc.training.launch import error_file
from xashpc.training.network_options import TrainingOptions
from xashpc.training.network_run import train_network

RANK_VARIABLES = ("HOROVOD_RANK", "OMPI_COMM_WORLD_RANK")


def main(arguments: list[str]) -> int:
    """Train; an error of ours is left in a file for the process that started the ranks."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    values = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    options = TrainingOptions.from_dict(values)
    rank = next((os.environ[name] for name in RANK_VARIABLES if name in os.environ), "0")
    try:
        train_network(options, resume="--resume" in arguments[1:])
    except XasHpcError as error:
        traceback.print_exc()
        text = json.dumps({"type": type(error).__name__, "message": str(error), "rank": int(rank)})
        error_file(Path(options.output), int(rank)).write_text(text, encoding="utf-8")
        sys.stderr.flush()
        # Not through exit handlers: Horovod's would wait for ranks that wait for this one.
        os._exit(1)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
