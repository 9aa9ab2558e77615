#!/usr/bin/env bash
# Break what can break, with real engines, databases, processes and queues, and print what was lost
# and doubled; the table goes into docs/faults.md. About 20 minutes on two cores. Arguments go to
# pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${XASHPC_VENV:-.venv}/bin/python
[ -x "$python" ] || python=python
XASHPC_FAULT_TABLE=$(mktemp)
export XASHPC_FAULT_TABLE
trap 'rm -f "$XASHPC_FAULT_TABLE"' EXIT
failed=0
"$python" -m pytest -m "campaign and not cluster" --numprocesses 2 --dist loadfile \
    tests/campaign "$@" || failed=$?
"$python" -m pytest -m "campaign and cluster" tests/campaign "$@" || failed=$?
[ "$failed" = 0 ] || { echo "fault_table: tests failed; docs/faults.md is left as it is" >&2; exit 1; }
page=$(sed '/^|/d' docs/faults.md)
printf '%s\n\n%s\n' "$page" "$(cat "$XASHPC_FAULT_TABLE")" >docs/faults.md
