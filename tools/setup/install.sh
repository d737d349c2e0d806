#!/usr/bin/env bash
# Creates .venv with the pinned stack and this package in it; does nothing when that is done.
#
#   bash tools/setup/install.sh
#
# PYTHON         interpreter to use, at least 3.10          (default: python3)
# TORCH          another torch than the pinned one, such as 2.6.0, with the torchvision that fits it
# MMFREQ_CACHE   where the built mmcv wheel is kept         (default: ~/.cache/mmfreq)
set -euo pipefail
cd "$(dirname "$0")/../.."

PYTHON=${PYTHON:-python3}
CACHE=${MMFREQ_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/mmfreq}
CONSTRAINTS=tools/setup/constraints.txt
STAMP=.venv/.mmfreq-setup

fail() { printf 'setup: %s\n' "$1" >&2; exit 1; }
step() { printf '== setup: %s\n' "$1"; }
# Counts the compiled files, [12/345] in ninja's output, on one line.
show_progress() {
    while read -r line; do
        [[ $line =~ ^\[[0-9]+/[0-9]+\] ]] && printf '\r   %s' "${BASH_REMATCH[0]}"
    done
    echo
}
pinned() { grep "^$1==" "$CONSTRAINTS"; }

if [ -n "${TORCH:-}" ]; then
    others=$CACHE/constraints-torch$TORCH.txt
    mkdir -p "$CACHE"
    # What torch asks for in one version, Triton and CUDA's libraries for example, follows it.
    grep -Ev '^(torch|torchvision|triton|sympy|nvidia-.*|cuda-.*)==' "$CONSTRAINTS" >"$others"
    echo "torch==$TORCH" >>"$others"
    CONSTRAINTS=$others
fi

recipe=$(cat "$CONSTRAINTS" setup.cfg pyproject.toml "$0" | cksum)
if [ -x .venv/bin/python ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$recipe $PWD" ]; then
    exit 0
fi

command -v "$PYTHON" >/dev/null \
    || fail "'$PYTHON' not found; install Python 3.10 or newer, or set PYTHON to its path"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
    || fail "$("$PYTHON" --version) is too old; install Python 3.10 or newer, or set PYTHON to its path"
"$PYTHON" -c 'import ensurepip, venv' 2>/dev/null \
    || fail "this Python has no venv module; on Debian and Ubuntu: apt-get install python3-venv"
CXX=${CXX:-$(command -v c++ || command -v g++ || command -v clang++ || true)}
headers=$("$PYTHON" -c 'import sysconfig; print(sysconfig.get_path("include"))')
[ -n "$CXX" ] && command -v "${CXX%% *}" >/dev/null \
    || fail "no C++ compiler found, mmcv's operators need one; on Debian and Ubuntu: apt-get install g++"
[ -f "$headers/Python.h" ] \
    || fail "Python.h not found in $headers; on Debian and Ubuntu: apt-get install python3-dev"

rm -f "$STAMP"
[ -x .venv/bin/python ] || { step 'creating .venv'; "$PYTHON" -m venv .venv; }
PIP=(.venv/bin/python -m pip --disable-pip-version-check --quiet)

step 'torch and build tools (several GB, some minutes)'
"${PIP[@]}" install --constraint "$CONSTRAINTS" torch torchvision setuptools wheel ninja packaging

# Keyed by torch, Python and device, outside pip's own cache: that one hands a wheel that was built
# for another torch to a new environment, where it fails with an undefined symbol.
key=$(.venv/bin/python - <<'END'
import sys, torch
device = 'cpu'
if torch.cuda.is_available():
    from torch.utils.cpp_extension import CUDA_HOME
    if CUDA_HOME:
        device = 'cuda'
    else:
        print('setup: no nvcc, so mmcv gets CPU operators only: detectors need the CUDA toolkit of '
              f'torch, {torch.version.cuda}, to run on the GPU', file=sys.stderr)
print(f'torch{torch.__version__}-cp{sys.version_info.major}{sys.version_info.minor}-{device}')
END
)
mmcv=$(pinned onedl-mmcv)
wheels=$CACHE/wheels/$key
wheel=$(ls "$wheels/onedl_mmcv-${mmcv#*==}-"*.whl 2>/dev/null | head -n 1 || true)
if [ -z "$wheel" ]; then
    step "building mmcv's operators, once for $key (5 to 15 minutes on two cores)"
    mkdir -p "$wheels"
    building=$(mktemp -d "$wheels/.building.XXXXXX")
    trap 'rm -rf "$building"' EXIT
    log=$wheels/build.log
    # In build isolation mmcv sees no torch and silently leaves its operators out.
    build=(env MMCV_WITH_OPS=1 "MAX_JOBS=${MAX_JOBS:-$(nproc)}")
    [ "${key##*-}" = cuda ] || build+=(CUDA_VISIBLE_DEVICES=)
    "${build[@]}" .venv/bin/python -m pip wheel --verbose --no-cache-dir --no-deps \
        --no-build-isolation --wheel-dir "$building" "$mmcv" 2>&1 | tee "$log" | show_progress \
        || { tail -n 30 "$log" >&2; fail "mmcv's operators could not be built, see above and $log"; }
    mv "$building"/*.whl "$wheels/"
    wheel=$(ls "$wheels/onedl_mmcv-${mmcv#*==}-"*.whl)
fi

step 'the OpenMMLab stack and mmfreq'
"${PIP[@]}" install --no-deps --force-reinstall "$wheel"
"${PIP[@]}" install --no-build-isolation --constraint "$CONSTRAINTS" --editable '.[onedl,onnx,openvino,serve,dev,docs]'
# opencv-python and -headless share their files; the last one installed decides whether libGL is needed.
"${PIP[@]}" install --no-deps --force-reinstall "$(pinned opencv-python-headless)"

step 'checking'
.venv/bin/python -m mmfreq.check_env || fail 'the environment is broken, see above'
echo "$recipe $PWD" >"$STAMP"
