"""Run FEFF10's stages for one feff.inp: started as a script by FeffEngine, never imported by it.

It imports feff10 alone, since a start of pymatgen costs seconds and a small site takes ten. feff10
rewrites feff.inp without its comments, so the original is put back when the stages have ended.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import feff10

# The stages XANES needs (FEFF10 user guide, 1.3, "The modules of FEFF"); LDOS, which costs and
# gives nothing here, and EXAFS, EELS and COMPTON extras stay out.
STAGES = (
    feff10.Stage.RDINP,
    feff10.Stage.ATOMIC,
    feff10.Stage.POT,
    feff10.Stage.SCREEN,
    feff10.Stage.XSPH,
    feff10.Stage.FMS,
    feff10.Stage.MKGTR,
    feff10.Stage.PATH,
    feff10.Stage.GENFMT,
    feff10.Stage.FF2X,
)


def _restore(deck: Path, original: bytes) -> None:
    temporary = deck.with_name("feff.inp.tmp")
    temporary.write_bytes(original)
    os.replace(temporary, deck)


def main() -> int:
    """Run in the current directory; 1 with FEFF's own words on stderr when a stage fails."""
    deck = Path("feff.inp")
    original: bytes | None = None
    try:
        original = deck.read_bytes()
        config = feff10.FeffConfig.from_file(".", str(deck), stages=list(STAGES))
        feff10.FeffPipeline(config).run()
    except (feff10.FeffError, OSError) as error:
        print(f"feff10: {error}", file=sys.stderr)
        return 1
    finally:
        if original is not None:
            _restore(deck, original)
    return 0


if __name__ == "__main__":
    sys.exit(main())
