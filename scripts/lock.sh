#!/bin/sh
# Writes requirements/cpu.txt and gpu.txt anew from pyproject.toml: `make lock`, after a change of the dependencies.
set -eu
cd "$(dirname "$0")/.."
unset UV_FIND_LINKS PIP_FIND_LINKS # a wheel that only this machine has must not become the pin

lock() {
    extra=$1
    shift
    echo "# Every package of \`.[$extra,dev]\`, pinned, for Python 3.11 to 3.14 on Linux. Written by \`make lock\`."
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
        --extra "$extra" --extra dev "$@" pyproject.toml
}

# On a CPU, the CUDA libraries come with the CUDA build of torch if that is what gets installed, pinned by torch itself.
lock cpu --overrides requirements/overrides.txt | grep -vE "^(nvidia|cuda)-|sys_platform == 'never'" > requirements/cpu.txt
lock gpu > requirements/gpu.txt
