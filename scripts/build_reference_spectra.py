#!/usr/bin/env python3
"""Make xashpc/importing/data/omnixas_cu_lce.npz of the whole OmniXAS Cu set.

    python scripts/build_reference_spectra.py FOLDER

FOLDER holds cu_k_feff99.npz and poscars.tar.xz, see docs/importing.md. Takes about two minutes on
one core: every Cu site is labelled.
"""

from __future__ import annotations

import sys
from pathlib import Path

from xashpc.importing.reference import FILE, write_reference

DATA = Path(__file__).resolve().parents[1] / "xashpc" / "importing" / "data"


def main(argv: list[str]) -> int:
    if len(argv) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    target = DATA / FILE
    counts = write_reference(Path(argv[0]), target)
    print(f"{target}: {target.stat().st_size} bytes, {sum(counts.values())} spectra {counts}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
