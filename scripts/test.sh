#!/usr/bin/env bash
# Set everything up and run the whole test suite. Arguments go to pytest, e.g.: -k feff -x
#
# Without arguments, what starts no campaign runs first, then campaigns that are killed half way, both
# on two processes; what runs on the queue of a real SLURM follows one by one.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh \
    local,feff,amcsd,train,tensorstore,atomate,multiplet,cluster,horovod,docs,export,web,referee,test
# With this, tests of Horovod fail where they would be skipped.
export XASHPC_REQUIRE_HOROVOD=1
# A browser for the dashboard's tests, which are skipped where none can be had.
if ! command -v chromedriver >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    { apt-get update -qq &&
        timeout 180 apt-get install -y -qq --no-install-recommends chromium chromium-driver; } \
        >/dev/null 2>&1 || echo "test: no chromium; the browser's tests are skipped" >&2
fi
python="${XASHPC_VENV:-.venv}/bin/python"
"$python" -m ruff check .
[ $# -eq 0 ] || exec "$python" -m pytest "$@"
failed=0
"$python" -m pytest -m "not campaign and not cluster" --numprocesses 2 --dist loadfile || failed=$?
"$python" -m pytest -m "campaign and not cluster" --numprocesses 2 --dist loadfile || failed=$?
"$python" -m pytest -m cluster || failed=$?
exit "$failed"
