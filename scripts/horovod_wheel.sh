#!/usr/bin/env bash
# Build Horovod for this Python and TensorFlow once (11-19 minutes on two cores), keep the wheel
# outside the checkout and install it into .venv, e.g.: scripts/horovod_wheel.sh
# With --build-only the wheel is built (or found) and its path printed; nothing is installed.
# XASHPC_VENV names another environment, XASHPC_CACHE another cache.
set -euo pipefail
cd "$(dirname "$0")/.."
mode=${1:-install}
python="${XASHPC_VENV:-.venv}/bin/python"
horovod=0.28.1
cache="${XASHPC_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/xashpc}/wheels"
# What Horovod imports beside TensorFlow; its own list pulls build tools in.
light_dependencies=(cloudpickle psutil pyyaml packaging cffi)

fail() {
    echo "horovod_wheel: $*" >&2
    exit 1
}

[ -x "$python" ] || fail "no Python at $python; run scripts/setup.sh first, or set XASHPC_VENV"
tensorflow=$("$python" -c 'import importlib.metadata as m; print(m.version("tensorflow-cpu"))' \
    2>/dev/null) || fail "$python has no tensorflow-cpu; install the extra 'train' first"
tag=$("$python" -c 'import platform, sys
print("py%d.%d-%s" % (*sys.version_info[:2], platform.machine()))')
folder="$cache/horovod-$horovod-tf$tensorflow-$tag"

missing_tools() {
    local tool package
    while read -r tool package; do
        command -v "$tool" >/dev/null 2>&1 || echo "$package"
    done <<'TOOLS' | sort -u
mpirun openmpi-bin
mpicxx libopenmpi-dev
g++ build-essential
make build-essential
cmake cmake
TOOLS
}

# MPI itself must be there when the wheel came from the cache, the compilers only to build it.
ensure_tools() {
    local packages
    packages=$(missing_tools | { if [ "$1" = run ]; then grep -x openmpi-bin || true; else cat; fi; })
    packages=$(echo $packages)
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "horovod_wheel: installing with apt: $packages" >&2
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $packages >&2
    else
        fail "these are missing: $packages. Install them (Debian and Ubuntu: sudo apt-get install" \
            "$packages; on a cluster: load the modules of cmake, GCC and Open MPI), then run again"
    fi
}

build() {
    # Global: the trap runs after this function has ended.
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    echo "horovod_wheel: building Horovod $horovod for TensorFlow $tensorflow (11-19 minutes);" \
        "log: $folder.log" >&2
    mkdir -p "$cache"
    # An environment of its own: the build needs an older setuptools than the package has.
    "$python" -m venv "$work/venv"
    "$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        "tensorflow-cpu==$tensorflow" 'setuptools<80' wheel "${light_dependencies[@]}"
    PATH="$work/venv/bin:$PATH" TMPDIR="$work" \
        HOROVOD_WITH_TENSORFLOW=1 HOROVOD_WITHOUT_PYTORCH=1 HOROVOD_WITHOUT_MXNET=1 \
        HOROVOD_WITH_GLOO=1 HOROVOD_WITH_MPI=1 \
        nice -n 5 "$work/venv/bin/python" -m pip wheel --verbose --no-build-isolation --no-deps \
        --disable-pip-version-check --wheel-dir "$work/wheels" "horovod==$horovod" \
        >"$folder.log" 2>&1 || {
        tail -n 20 "$folder.log" >&2
        fail "the build failed; the whole log is $folder.log"
    }
    # Complete or absent: another build may have been first, then its wheel is as good.
    mkdir -p "$folder.$$"
    mv "$work"/wheels/horovod-*.whl "$folder.$$/"
    mv -T "$folder.$$" "$folder" 2>/dev/null || rm -rf "$folder.$$"
}

wheel_in_cache() {
    [ ! -d "$folder" ] || find "$folder" -name 'horovod-*.whl' | head -n 1
}

wheel=$(wheel_in_cache)
if [ -z "$wheel" ]; then
    ensure_tools build
    build
    wheel=$(wheel_in_cache)
fi
[ -n "$wheel" ] || fail "no wheel in $folder after the build"
if [ "$mode" = --build-only ]; then
    echo "$wheel"
    exit 0
fi
ensure_tools run
if ! "$python" -c "import importlib.metadata as m; assert m.version('horovod') == '$horovod'" \
    2>/dev/null; then
    "$python" -m pip install --quiet --disable-pip-version-check "${light_dependencies[@]}"
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps "$wheel"
fi
"$python" -c 'import horovod.tensorflow as hvd
assert hvd.gloo_built() and hvd.mpi_built(), "Horovod was built without Gloo or MPI"' \
    || fail "the installed Horovod does not load; remove $folder and run this again"
