#!/usr/bin/env bash
# Set everything up and run the whole test suite. Arguments go to pytest, e.g.: -k feff -x
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh local,feff,amcsd,train,atomate,multiplet,cluster,web,test
# A browser for the dashboard's tests, which are skipped where none can be had.
if ! command -v chromedriver >/dev/null && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    { apt-get update -qq &&
        timeout 180 apt-get install -y -qq --no-install-recommends chromium chromium-driver; } \
        >/dev/null 2>&1 || echo "test: no chromium; the browser's tests are skipped" >&2
fi
python="${XASHPC_VENV:-.venv}/bin/python"
"$python" -m ruff check .
exec "$python" -m pytest "$@"
