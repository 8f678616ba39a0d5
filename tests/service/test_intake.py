"""What is decided about a response before it starts."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from realtime.context.encrypted import Sealer
from realtime.service.intake import Intake
from realtime.settings.fields import ImageSettings, McpSettings, ResponseSettings
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
    settings = ResponseSettings(show_reasoning=setting)
    intake = Intake(settings=settings, images=ImageSettings(), mcp=McpSettings(), sealer=Sealer())
    policy = intake.shown("local", ResponseCreate(**members))
    assert (policy.summary, policy.raw) == shown
