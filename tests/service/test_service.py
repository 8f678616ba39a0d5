"""Decisions of the service that need no running response."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from realtime.dialects.chat import ChatDialect
from realtime.engine.scripted import ScriptedEngine
from realtime.service.principal import LOCAL
from realtime.service.service import Service
from realtime.settings.fields import ResponseSettings
from realtime.wire.requests import ReasoningOptions, ResponseCreate

SUMMARY = {"reasoning": ReasoningOptions(summary="auto")}
RAW = {"include": ["reasoning.content"]}


@pytest.mark.parametrize(
    ("setting", "members", "shown"),
    [
        ("none", {}, (False, False)),
        ("none", SUMMARY, (True, False)),
        ("none", {"reasoning": ReasoningOptions(generate_summary="concise")}, (True, False)),
        ("none", RAW, (False, True)),
        ("summary", {}, (True, False)),
        ("raw", {}, (False, True)),
        ("raw", SUMMARY, (True, False)),
    ],
)
def test_reasoning_is_shown_as_the_client_asks_else_as_the_operator_says(
    setting: Literal["none", "summary", "raw"], members: dict[str, Any], shown: tuple[bool, bool]
) -> None:
    service = Service(ScriptedEngine(), ChatDialect, ResponseSettings(show_reasoning=setting), trouble=lambda: None)
    policy = service._shown(LOCAL, ResponseCreate(**members))
    assert (policy.summary, policy.raw) == shown
