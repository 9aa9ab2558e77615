#!/usr/bin/env bash
# Set everything up and run the whole test suite. Arguments go to pytest, e.g.: -k feff -x
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh local,feff,amcsd,train,atomate,multiplet,cluster,docs,test
python="${XASHPC_VENV:-.venv}/bin/python"
"$python" -m ruff check .
exec "$python" -m pytest "$@"
