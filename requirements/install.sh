#!/usr/bin/env bash
# Makes .venv in the repository's root, every package at its version in constraints.txt. Safe to repeat; continues
# where it was interrupted. It listens to:
#   PYTHON=python3.12      the interpreter (default: the first CPython 3.10 to 3.12 that runs)
#   MMCV_WHEEL=FILE|URL    a prebuilt onedl-mmcv, installed instead of compiling one
#   MAX_JOBS=2             compiler processes (default: one a core, and one for each 2 GiB of memory)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null 9<requirements/install.sh
if command -v flock >/dev/null && ! flock -n 9; then  # of two at a time, the second waits
    echo "Waiting for another install.sh to finish."
    flock 9
fi
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
log=.venv/install.log
stamp=.venv/installed

die() { echo "install.sh: $*" >&2; exit 1; }
pin() { sed -n "s/^$1==//p" requirements/constraints.txt; }
pip() { .venv/bin/python -m pip "$@"; }
pip_install() { pip install -c requirements/constraints.txt --no-build-isolation "$@"; }

step() {  # step WHAT COMMAND...: run COMMAND with its output in the log, and show the log's end if it fails
    local what=$1 start=$SECONDS
    shift
    printf '%s ... ' "$what"
    echo "==== $what" >>$log
    if "$@" >>$log 2>&1; then
        echo "done in $((SECONDS - start)) s"
    else
        echo failed
        tail -n 30 $log >&2
        die "'$what' failed; the lines above are the end of $PWD/$log"
    fi
}

find_python() {  # find_python NAME...: print the first that runs and can make environments and compile extensions
    local python
    for python; do
        "$python" - 2>/dev/null <<'PY' && echo "$python" && return
import ensurepip, os, sys, sysconfig, venv
headers = os.path.join(sysconfig.get_path('include'), 'Python.h')
sys.exit(not ((3, 10) <= sys.version_info[:2] <= (3, 12) and os.path.exists(headers)))
PY
    done
    return 1
}

wheel() { compgen -G "$wheels/${1//-/_}-$(pin "$1")-*.whl"; }

compile() {  # compile NAME: put its wheel, built against this environment's PyTorch and NumPy, into $wheels
    local source=.venv/src/$1 sdist=${1//-/_}-$(pin "$1")
    wheel "$1" && return
    if [[ ! -d $source ]]; then  # else an interrupted build goes on from its object files
        pip download --no-deps --no-binary "$1" --no-build-isolation -d .venv/src "$1==$(pin "$1")" &&
            tar -xzf ".venv/src/$sdist.tar.gz" -C .venv/src && mv ".venv/src/$sdist" "$source" || return
    fi
    pip wheel --no-deps --no-build-isolation -w "$wheels/new" "./$source" && mv "$wheels"/new/*.whl "$wheels"
}

candidates=(python3.11 python3.12 python3.10 python3)
[[ ! -x .venv/bin/pip ]] || candidates=(.venv/bin/python "${candidates[@]}")
[[ -z ${PYTHON:-} ]] || candidates=("$PYTHON")
python=$(find_python "${candidates[@]}") ||
    die "needs CPython 3.10, 3.11 or 3.12 with venv and C headers (on Debian: python3-venv and python3-dev), and none" \
        "of '${candidates[*]}' is that; name one with PYTHON=/path/to/python."
version=$("$python" --version)

# mmcv's ops run on a GPU only if they are compiled with the CUDA version that PyTorch was compiled with.
cuda=$(pin nvidia-cuda-runtime-cu12 | cut -d. -f1,2)
gpu=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | grep -E '^[0-9.]+$' | sort -u |
    paste -sd+ - || true)
nvcc=${CUDA_HOME:+$CUDA_HOME/bin/nvcc}
nvcc=${nvcc:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if [[ -n ${MMCV_WHEEL:-} ]]; then
    mode=wheel
elif [[ -n $gpu && $(uname -m) == x86_64 && $("$nvcc" --version 2>/dev/null) == *"release $cuda,"* ]]; then
    mode=cuda
else
    mode=cpu
fi

# Is it done already? An environment with ops for a GPU also serves where there is none.
contents="$(cat requirements/* setup.py | cksum), $version"
case $(cat $stamp 2>/dev/null || true) in
    "$contents, $mode" | "$contents, cuda" | "$contents, wheel") echo "The environment in .venv is complete."; exit ;;
esac

command -v git >/dev/null || die "needs git, and there is none on PATH."
"${CXX:-c++}" -std=c++17 -fsyntax-only -x c++ - <<<'#include <vector>' 2>/dev/null ||
    die "needs a C++17 compiler, and '${CXX:-c++}' is none (on Debian: g++); name yours with CXX."

case $mode in
    wheel) echo "Setting up .venv; mmcv comes from $MMCV_WHEEL." ;;
    cuda) echo "Setting up .venv; mmcv's ops will be compiled for CUDA $cuda and this machine's GPU ($gpu)." ;;
    cpu) echo "Setting up .venv; mmcv's ops will be compiled for the CPU." ;;
esac
if [[ $mode == cpu && -n $gpu ]]; then
    echo "There is a GPU, but no nvcc of CUDA $cuda, so RoIAlign, NMS and other ops will not run on it. To have them" \
        "there, stop this, and put that nvcc on PATH (or name its folder with CUDA_HOME), or set MMCV_WHEEL to a" \
        "wheel of onedl-mmcv $(pin onedl-mmcv) for PyTorch $(pin torch) and CUDA $cuda:" \
        "https://onedl-mmcv.readthedocs.io/en/latest/get_started/installation.html"
fi

if [[ ! -x .venv/bin/pip || $(.venv/bin/python --version) != "$version" ]]; then
    rm -rf .venv/bin .venv  # bin first, so that an interrupted removal starts over
    mkdir .venv
    step "Making .venv with $version" "$python" -m venv .venv
fi
rm -f $stamp
export PATH=$PWD/.venv/bin:$PATH  # PyTorch looks for ninja there
# A package whose installation was cut short has no RECORD yet; pip would take it for installed.
for info in .venv/lib/python3.*/site-packages/*.dist-info; do
    [[ -e $info/RECORD ]] || rm -rf "$info"
done
step "Updating pip" pip_install pip setuptools
step "Installing PyTorch $(pin torch) (downloads about 3 GB on x86-64, unless pip has it cached)" \
    pip_install -r requirements/torch.txt
step "Installing the OpenMMLab packages and the tools (1 or 2 minutes)" \
    pip_install -r requirements/openmm.txt -r requirements/dev.txt

# Compiled wheels fit one PyTorch, NumPy, Python and GPU only, which pip's own cache doesn't know. They are kept
# for the next clone on this machine.
platform=$(.venv/bin/python -c 'import sys, sysconfig
print("cp%d%d" % sys.version_info[:2], sysconfig.get_platform(), sep="-")')
wheels=${XDG_CACHE_HOME:-~/.cache}/res2net_mm/torch$(pin torch)-numpy$(pin numpy)-$platform-$mode$gpu
export MAX_JOBS=${MAX_JOBS:-$(.venv/bin/python -c 'import os, psutil
print(max(1, min(len(psutil.Process().cpu_affinity()), psutil.virtual_memory().total >> 31)))')}
if [[ $mode == cuda ]]; then
    export FORCE_CUDA=1 CUDA_HOME=${nvcc%/bin/nvcc}
else
    export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=  # with a visible GPU mmcv would ask for nvcc
fi
step "Compiling xtcocotools (half a minute)" compile xtcocotools
if [[ $mode != wheel ]]; then
    step "Compiling mmcv's ops, unless an earlier build is cached (about 9 minutes on 2 cores)" compile onedl-mmcv
fi
step "Installing mmcv" pip_install --no-deps --force-reinstall "${MMCV_WHEEL:-$(wheel onedl-mmcv)}"
step "Installing mmpose and this project" pip_install --no-deps "$(wheel xtcocotools)" mmpose -e .
step "Checking that all of it imports in one process" .venv/bin/python - <<'PY'
import mmcv.ops, mmdet, mmpose, mmpretrain, mmseg, torch, res2net_mm  # noqa: E401
modules = torch, mmcv, mmdet, mmseg, mmpretrain, mmpose, res2net_mm
print('Ready:', ', '.join(f'{module.__name__} {module.__version__}' for module in modules))
PY
tail -n 1 $log
rm -rf .venv/src
echo "$contents, $mode" >$stamp
