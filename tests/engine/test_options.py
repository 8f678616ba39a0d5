"""What follows from the settings of the engine alone."""

from __future__ import annotations

import pytest

from realtime.engine.options import VllmOptions


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"model": "Qwen/Qwen3-8B"}, "Qwen3-8B"),
        ({"model": "/models/llama/"}, "llama"),
        ({"model": "/models/llama", "served_name": "mine"}, "mine"),
        ({}, "starter"),
    ],
)
def test_the_name_that_clients_use(options: dict[str, str], name: str) -> None:
    assert VllmOptions(**options).name == name  # type: ignore[arg-type]
