#!/usr/bin/env bash
# Set everything up and run the whole test suite. Arguments go to pytest, e.g.: -k feff -x
#
# Without arguments, what starts no campaign runs first, on two processes; campaigns, which keep
# the machine busy by themselves and are killed half way, follow one by one.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh \
    local,feff,amcsd,train,tensorstore,atomate,multiplet,cluster,horovod,docs,test
# With this, tests of Horovod fail where they would be skipped.
export XASHPC_REQUIRE_HOROVOD=1
python="${XASHPC_VENV:-.venv}/bin/python"
"$python" -m ruff check .
[ $# -eq 0 ] || exec "$python" -m pytest "$@"
failed=0
"$python" -m pytest -m "not campaign and not cluster" --numprocesses 2 --dist loadfile || failed=$?
"$python" -m pytest -m "campaign or cluster" || failed=$?
exit "$failed"
