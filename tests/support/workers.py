"""Which worker of pytest-xdist runs which tests: those that need one expensive thing stay together."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

#: By where a test is, the first that fits.
GROUPS = {
    # vLLM in the process of the tests, or torch, whose imports take seconds
    "tests/acceptance/test_gpt_oss.py": "vllm",
    "tests/acceptance/test_images.py": "vllm",
    "tests/context/test_client_tools.py": "vllm",
    "tests/dialects/": "vllm",
    "tests/engine/": "vllm",
    "tests/training/": "vllm",
    "tests/house/test_packages.py": "packages",  # builds them once
    # the server that a user would start
    "tests/acceptance/": "starter",
    "tests/attacks/test_bad_networks.py": "starter",  # shares the packages for Node, which the first one installs
    "tests/attacks/test_real_engine.py": "starter",
}


class SharedEngines(LoadScopeScheduling):
    """The groups first, since they take longest; then all other tests, one by one, to whoever is free.

    (`--dist loadgroup` means the same, but xdist 3.8 writes the group into a member that items of pytest 9.2 lack.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((group for place, group in GROUPS.items() if nodeid.startswith(place)), nodeid)
