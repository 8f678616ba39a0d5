"""Which worker of pytest-xdist runs which tests: those that need one expensive thing stay together."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import SupportsIndex

from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).parents[2]

#: By where a test is, the first that fits.
GROUPS = {
    # vLLM in the process of the tests, or torch, whose imports take seconds
    "tests/acceptance/test_fair_share.py": "vllm",
    "tests/acceptance/test_gpt_oss.py": "vllm",
    "tests/acceptance/test_images.py": "vllm",
    "tests/acceptance/test_prefix_cache.py::test_a_tenant_finds_its_own_prompts": "vllm",
    "tests/acceptance/test_put_aside.py": "vllm",
    "tests/context/test_client_tools.py": "vllm",
    "tests/dialects/harmony/test_tags.py": "vllm",
    "tests/dialects/letters/": "vllm",
    "tests/dialects/markup/test_differential.py": "vllm",
    "tests/dialects/markup/test_tags.py": "vllm",
    "tests/dialects/test_chat_tokens.py": "vllm",
    "tests/dialects/test_event_sequences.py": "vllm",
    "tests/dialects/test_families.py": "vllm",
    "tests/dialects/test_text_bound.py": "vllm",
    "tests/engine/": "vllm",
    "tests/training/": "vllm",
    "tests/wire/test_holdable.py": "vllm",
    "tests/wire/test_unheld.py": "vllm",
    "tests/house/test_packages.py": "packages",  # builds them once
    "tests/clients/test_adapters.py": "frameworks",  # takes seconds to import them
    # OpenAI's SDK builds a validator for each of its types when that is first needed, which takes seconds for all
    "tests/wire/test_events.py": "types of the SDK",
    "tests/wire/test_items.py": "types of the SDK",
    # Go compiles its standard library first, which takes a minute; two that find no cache would both do it
    "tests/clients/test_go_client.py": "go",
    "tests/clients/test_go_rough_path.py": "go",
    "tests/clients/test_planted_bugs_elsewhere.py": "go",
    "tests/deploy/test_helm.py": "go",
    # the server that a user would start
    "tests/acceptance/": "starter",
    "tests/attacks/test_bad_networks.py": "starter",  # shares the packages for Node, which the first one installs
    "tests/attacks/test_real_engine.py": "starter",
}


def import_tests(number: int, num_workers: int) -> None:
    """Import all tests, each worker from another place on.

    Who imports a module first rewrites its assertions, which is half of the collection in a fresh clone; what it wrote
    is there for the others. A module that can't be imported is the collection's affair.
    """
    paths = sorted((ROOT / "tests").rglob("test_*.py"))
    begin = len(paths) * number // num_workers
    for path in (*paths[begin:], *paths[:begin]):
        with contextlib.suppress(Exception):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


class Collection(list[str]):
    """The tests that a worker has found. Each is asked for by its name, which a list would look for from the start."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self._at = {name: at for at, name in enumerate(names)}

    def index(self, value: str, start: SupportsIndex = 0, stop: SupportsIndex = 0) -> int:
        """Return where a test is."""
        return self._at[value]


class SharedEngines(LoadScopeScheduling):
    """The groups first, since they take longest; then all other tests, one by one, to whoever is free.

    (`--dist loadgroup` means the same, but xdist 3.8 writes the group into a member that items of pytest 9.2 lack.)
    What it costs must not grow with the number of tests that are over: there are thousands, most of a few milliseconds.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((group for place, group in GROUPS.items() if nodeid.startswith(place)), nodeid)

    def add_node_collection(self, node: WorkerController, collection: Sequence[str]) -> None:
        """See the base class."""
        super().add_node_collection(node, collection)
        if node in self.registered_collections:
            self.registered_collections[node] = Collection(collection)

    def mark_test_complete(self, node: WorkerController, item_index: int, duration: float = 0) -> None:
        """Forget what is over, before the base class counts what is not."""
        nodeid = self.registered_collections[node][item_index]
        scope, assigned = self._split_scope(nodeid), self.assigned_work[node]
        del assigned[scope][nodeid]
        if not assigned[scope]:
            del assigned[scope]
        self._reschedule(node)
