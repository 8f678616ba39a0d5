# Two commands for a start: `make serve` and `make test`. Both set everything up first if that is missing.
# PORT=9000 MODEL=<smollm2, folder or hub id> ARGS="<more flags>" for serve; PORT=9000 or URL=ws://... for chat; ARGS for all.

PYTHON_ENV := .venv/bin/python
# Some images set it. Every process that the tests start would compile all of the server anew, and every worker all tests.
unexport PYTHONDONTWRITEBYTECODE
# Three workers even on two cores: two for what needs real vLLM, and one for all that waits for sockets and processes.
# ARGS='-n 0' for none. A worker that ends, as by a test that hangs, ends the run: xdist 3.8 hangs when it makes a new one.
WORKERS := -n 3 --max-worker-restart 0
CHAT_URL := $(or $(URL),$(if $(PORT),ws://127.0.0.1:$(PORT)/v1/responses))
CHAT_FLAGS := $(if $(CHAT_URL),--url $(CHAT_URL))
SERVE_FLAGS := $(if $(PORT),--port $(PORT)) $(if $(MODEL),--model $(MODEL))

.DEFAULT_GOAL := help
.PHONY: help serve chat install test lint check check-long frameworks attack bench docs types lock packages next clean

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@sed -n '2s/# /  /p' $(MAKEFILE_LIST)

serve: install ## start the server on 127.0.0.1:8000 with the embedded starter model, or MODEL=smollm2: 94 MB to download, once
	@exec $(PYTHON_ENV) -m realtime serve $(SERVE_FLAGS) $(ARGS)

chat: install ## talk to the running server in the terminal
	@exec $(PYTHON_ENV) -m realtime chat $(CHAT_FLAGS) $(ARGS)

install: ## make .venv with everything in it; costs nothing when it is there
	@./scripts/setup.sh

test: install ## run all tests
	@$(PYTHON_ENV) -m pytest $(WORKERS) $(ARGS)

lint: install ## format, lint and types, without the tests
	@$(PYTHON_ENV) -m ruff format --check .
	@$(PYTHON_ENV) -m ruff check .
	@$(PYTHON_ENV) -m mypy

check: lint test ## all that CI checks: lint, then the tests (layers among them)

check-long: install ## run all tests in their long form: more seeds, samples and cuts
	@TESTS_LONG=1 $(PYTHON_ENV) -m pytest $(WORKERS) $(ARGS)

frameworks: install ## run Pipecat and LiveKit against the server, in an environment of their own; LONG=1: at many more moments
	@.venv/bin/uv venv --quiet --allow-existing --python $(PYTHON_ENV) .cache/frameworks
	@.venv/bin/uv pip install --quiet --python .cache/frameworks -r requirements/frameworks.txt -e . -e clients/python
	@$(if $(LONG),TESTS_LONG=1) .cache/frameworks/bin/python -m pytest -n 0 tests/clients/test_voice_adapters.py $(ARGS)

attack: install ## attack a server in every way that a client could, and print a table; ARGS=--help
	@$(PYTHON_ENV) -m tests.attacks $(ARGS)

bench: install ## measure the server beside the bare engine, vLLM's own and a raw writer: five minutes; ARGS=--quick: one
	@$(PYTHON_ENV) -m bench $(ARGS)

docs: install ## write anew what is generated: parts of docs/, types of the Python client, versions, bill of materials
	@$(PYTHON_ENV) scripts/update_docs.py
	@$(PYTHON_ENV) scripts/python_types.py
	@$(PYTHON_ENV) -m scripts.versions
	@$(PYTHON_ENV) -m scripts.sbom

types: install ## write the types of the JavaScript client anew
	@$(PYTHON_ENV) scripts/js_types.py
	@cd clients/js && npm run --silent types

lock: install ## pin the dependencies of pyproject.toml anew
	@./scripts/lock.sh

packages: install ## build the Python packages and the npm tarball into dist/, and check them
	@./scripts/packages.sh

next: install ## try the newest vLLM that can be installed, in .venv-next, and say what moved
	@./scripts/next.sh

clean: ## remove .venv and everything else that can be made again
	rm -rf .venv .venv-next .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -prune -exec rm -rf {} +
