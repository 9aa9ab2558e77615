#!/usr/bin/env bash
# Break what can break, with real engines, databases, processes and queues, and print what was lost
# and doubled. About 20 minutes on two cores. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${XASHPC_VENV:-.venv}/bin/python
[ -x "$python" ] || python=python
XASHPC_FAULT_TABLE=${XASHPC_FAULT_TABLE:-docs/faults.md} exec "$python" -m pytest -m campaign \
    tests/campaign "$@"
