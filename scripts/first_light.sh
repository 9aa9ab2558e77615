#!/usr/bin/env bash
# Set everything up and run the main job: a real K-edge campaign that ends in an HTML report.
# Stop it with Ctrl-C and start it again as often as you like: nothing is computed twice.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh local,feff,amcsd,train
exec "${XASHPC_VENV:-.venv}/bin/xashpc" run workflows/kedge_lce.yaml "$@"
