#!/usr/bin/env bash
# Set everything up and run the main job: a real K-edge campaign that ends in an HTML report, then
# 2p spectra of Ni2+ and a network of them, which end in a page of their own.
# Stop it with Ctrl-C and start it again as often as you like: nothing is computed twice.
# Arguments go to the K-edge campaign, e.g. --workers 8; with any, only that campaign is run.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh local,feff,amcsd,train,multiplet
xashpc="${XASHPC_VENV:-.venv}/bin/xashpc"
[ $# -eq 0 ] || exec "$xashpc" run workflows/kedge_lce.yaml "$@"
"$xashpc" run workflows/kedge_lce.yaml
"$xashpc" run workflows/ledge_first_light.yaml
folder=$(ls -dt results/ledge-first-light-*/ | head -n 1)
[ -e "$folder/Ni2+.keras" ] ||
    "$xashpc" ledge train "$folder/Ni2+.zarr" --epochs 60 --minutes 1.5 --test-rows 4000
"$xashpc" ledge report "$folder"
