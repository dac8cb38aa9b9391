#!/usr/bin/env bash
# Makes .venv in the repository's root, every package at its version in constraints.txt. Compiles nothing, unless it
# is told to. Safe to repeat and to interrupt: what is incomplete or out of date is made again, from uv's cache, and
# what was there stays until the new one is complete. It listens to:
#   PYTHON=python3.12       the interpreter (default: the first CPython 3.10 to 3.14 that runs)
#   OPS=compiled            mmcv's own ops, compiled: for the GPU if there is one and an nvcc of PyTorch's CUDA
#                           version, else for the CPU; OPS=torchvision is the default, or what .venv has
#   UV_TORCH_BACKEND=cpu    PyTorch without CUDA, from PyTorch's own index; and uv's other settings
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null 9<requirements/install.sh
if command -v flock >/dev/null && ! flock -n 9; then  # of two at a time, the second waits
    echo "Waiting for another install.sh to finish."
    flock 9
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0
unset PIP_TARGET PIP_PREFIX

die() { echo "install.sh: $*" >&2; exit 1; }
pin() { sed -n "s/^$1==//p" requirements/constraints.txt; }
uv() { .venv/bin/uv pip install --python .venv/bin/python -c requirements/constraints.txt "$@"; }

find_python() {  # find_python NAME...: print the path of the first that runs and can make environments
    local python
    for python; do  # of an environment's the one that it was made with: .venv may go
        "$python" -c 'import ensurepip, sys, venv
(3, 10) <= sys.version_info[:2] <= (3, 14) or sys.exit(1)
print(sys._base_executable)' 2>/dev/null && return
    done
    return 1
}

candidates=(.venv/bin/python python3.11 python3.12 python3.13 python3.14 python3.10 python3)
[[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
python=$(find_python "${candidates[@]}") ||
    die "needs CPython 3.10 to 3.14 with venv (on Debian: python3-venv), and none of" \
        "'${candidates[*]}' is that; name one with PYTHON=/path/to/python."
version=$("$python" --version)

# Is it done already? The stamp says of what; while .venv is being made it says that it is incomplete.
stamp=.venv/installed
replaced=.venv-replaced-by-install.sh
discarded=.venv-discarded-by-install.sh
discard() {  # discard FOLDER: out of the way at once, then away, though a killed process may still write there
    rm -rf $discarded || true
    [[ ! -e $1 ]] || mv "$1" $discarded
}
restore() {  # put back what a run that failed or was killed was to replace
    discard .venv
    [[ ! -e $replaced ]] || mv $replaced .venv
    rm -rf $discarded || true
}
if [[ -e $replaced && ! -e .venv ]] || { [[ -e $replaced ]] && grep -qs incomplete $stamp; }; then
    restore
fi
read -r had done_for 2>/dev/null <$stamp || true
ops=${OPS:-${had:-torchvision}}
[[ $ops =~ ^(torchvision|compiled)$ ]] || die "OPS is 'torchvision' or 'compiled', not '$ops'."
contents="$(cat requirements/*.txt requirements/install.sh setup.py res2net_mm/ops/ext.py | cksum), $version, $PWD"
if [[ ${had:-} == "$ops" && ${done_for:-} == "$contents" ]]; then
    echo "The environment in .venv is complete."
    exit
fi
[[ ! -e .venv && ! -L .venv || -e $stamp ]] ||
    die "there is a .venv that this script didn't make. It stays as it is: use it as docs/environment.md says under" \
        "'Your own stack', or move it away."
[[ $PWD != *:* ]] || die "Python makes no environment in a folder with a colon in its name: $PWD"

if [[ $ops == compiled ]]; then
    # mmcv's ops run on a GPU only if they are compiled with the CUDA version that PyTorch was compiled with.
    "${CXX:-c++}" -std=c++17 -fsyntax-only -x c++ - <<<'#include <vector>' 2>/dev/null ||
        die "OPS=compiled needs a C++17 compiler, and '${CXX:-c++}' is none (on Debian: g++); name yours with CXX."
    cuda=$(pin nvidia-cuda-runtime-cu12 | cut -d. -f1,2)
    gpu=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | grep -E '^[0-9.]+$' | sort -u |
        paste -sd+ - || true)
    nvcc=${CUDA_HOME:+$CUDA_HOME/bin/nvcc}
    nvcc=${nvcc:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
    if [[ -n $gpu && $(uname -m) == x86_64 && $("$nvcc" --version 2>/dev/null) == *"release $cuda,"* ]]; then
        export FORCE_CUDA=1 CUDA_HOME=${nvcc%/bin/nvcc}
        target=cuda$cuda-$gpu
        echo "mmcv's ops will be compiled for CUDA $cuda and this machine's GPU ($gpu)."
    else
        export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=  # with a visible GPU mmcv would ask for nvcc
        target=cpu
        echo "mmcv's ops will be compiled for the CPU."
        [[ -z $gpu ]] || echo "There is a GPU, but no nvcc of CUDA $cuda: put it on PATH, or name its folder with" \
            "CUDA_HOME. Or take OPS=torchvision, whose ops run on the GPU without it."
    fi
fi

discard $replaced
rm -rf $discarded
if [[ -e .venv ]]; then
    echo "Making .venv again: it is incomplete, out of date, or from another folder."
    mv .venv $replaced
fi
undo() {
    local had=
    [[ ! -e $replaced ]] || had=1
    restore
    [[ -z $had ]] || echo "install.sh: .venv could not be made again; the one that was there is back." >&2
}
trap undo EXIT
echo "Making .venv with $version (about 3 GB to download the first time, on x86-64 Linux most of it CUDA's libraries)."
mkdir $discarded
echo "$ops incomplete" >$discarded/installed
mv $discarded .venv  # there is none without its stamp
"$python" -m venv .venv
.venv/bin/python -m pip install -q -c requirements/constraints.txt uv ||
    die "pip could not install uv; can it reach its package index?"
# uv doesn't read pip's settings; a mirror that is set there is worth having.
index=${PIP_INDEX_URL:-$(.venv/bin/python -m pip config get global.index-url 2>/dev/null || true)}
[[ -z $index ]] || export UV_DEFAULT_INDEX=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-$index}}
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')

# Built apart from PyTorch, mmcv has no ops. The setting tells uv's cache this wheel from any other that a user built.
uv -r requirements/environment.txt --overrides requirements/overrides.txt --compile-bytecode \
    --config-settings-package onedl-mmcv:ops=none
if [[ $ops == torchvision ]]; then
    cp res2net_mm/ops/ext.py "$site/mmcv/_ext.py"
else
    uv ninja psutil
    export PATH=$PWD/.venv/bin:$PATH  # PyTorch looks for ninja there
    export MAX_JOBS=${MAX_JOBS:-$(python -c 'import os, psutil
print(max(1, min(len(psutil.Process().cpu_affinity()), psutil.virtual_memory().total >> 31)))')}
    # The wheel fits one Python, PyTorch and target only, which no cache of pip's or uv's knows.
    wheels=${XDG_CACHE_HOME:-~/.cache}/res2net_mm/mmcv$(pin onedl-mmcv)-torch$(pin torch)-$target-${version// /}
    if ! compgen -G "$wheels/*.whl" >/dev/null; then
        echo "Compiling mmcv's ops (6 minutes and more on 2 cores); the next environment takes them from $wheels."
        .venv/bin/python -m pip wheel -q --no-deps --no-build-isolation --no-cache-dir --no-binary onedl-mmcv \
            -w "$wheels" "onedl-mmcv==$(pin onedl-mmcv)"
    fi
    uv --no-deps --reinstall-package onedl-mmcv "$wheels"/*.whl
fi
# xtcocotools has no wheel for NumPy 2. All that it compiles is pycocotools' _mask, under its own name.
uv xtcocotools --no-deps --target "$site" --python-version 3.11 --python-platform x86_64-manylinux2014 \
    --only-binary xtcocotools
rm -f "$site"/xtcocotools/_mask.*
echo 'import sys, pycocotools._mask; sys.modules[__name__] = pycocotools._mask' >"$site/xtcocotools/_mask.py"
uv --no-deps -e .

.venv/bin/python - <<'PY'
import mmcv.ops, mmdet, mmpose, mmpretrain, mmseg, torch, torchvision, xtcocotools.mask, res2net_mm  # noqa: E401
modules = torch, torchvision, mmcv, mmdet, mmseg, mmpretrain, mmpose, res2net_mm
print('Ready:', ', '.join(f'{module.__name__} {module.__version__}' for module in modules))
PY
echo "$ops $contents" >$stamp
trap - EXIT
discard $replaced
rm -rf $discarded
