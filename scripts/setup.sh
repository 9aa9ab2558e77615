#!/usr/bin/env bash
# Make .venv with xashpc and the extras named as arguments, e.g.: scripts/setup.sh local,feff
# Needs Python 3.11 or 3.12; on Debian and Ubuntu it installs what is missing with apt.
set -euo pipefail
cd "$(dirname "$0")/.."
extras=${1:?usage: scripts/setup.sh EXTRA[,EXTRA...]}
venv=${XASHPC_VENV:-.venv}

find_python() {
    local name
    for name in python3.11 python3.12 python3; do
        if command -v "$name" >/dev/null 2>&1 && "$name" -c \
            'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))'; then
            command -v "$name"
            return
        fi
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

if ! python=$(find_python) || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    command -v apt-get >/dev/null 2>&1 || {
        echo "setup: need Python 3.11 or 3.12 with venv; install it and run this again" >&2
        exit 1
    }
    echo "setup: installing Python with apt" >&2
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends python3 python3-venv
    python=$(find_python) || {
        echo "setup: this system's python3 is $(python3 --version 2>&1); need 3.11 or 3.12" >&2
        exit 1
    }
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
# The same requirements were installed before: nothing to do (a second start takes no time).
stamp="$venv/.xashpc-$(printf '%s' "$extras" | cat - setup.cfg pyproject.toml | sha256sum | cut -c1-16)"
if [ ! -e "$stamp" ]; then
    echo "setup: installing xashpc[$extras] into $venv (one to three minutes the first time)" >&2
    # Horovod is built by a script of its own: pip alone would build it without TensorFlow.
    plain=$(printf '%s' ",$extras," | sed 's/,horovod,/,/; s/^,//; s/,$//')
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$plain]"
    # crispy carries Quanty and its atomic parameters; what it depends on is a GUI we do not use.
    case ",$extras," in
        *,quanty,* | *,multiplet,*)
            "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
                'crispy>=2026.3'
            ;;
    esac
    case ",$extras," in
        *,horovod,*) XASHPC_VENV="$venv" bash scripts/horovod_wheel.sh ;;
    esac
    touch "$stamp"
fi
