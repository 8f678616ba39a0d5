"""What is agreed on for a connection: its profile, by the sub-protocol, and its limits, by the settings."""

from __future__ import annotations

import msgspec
import pytest

from realtime.connection.profiles import (
    KEY_SUBPROTOCOL,
    SUBPROTOCOLS,
    ConnectionLimits,
    Profile,
    select_subprotocol,
)
from realtime.settings.fields import ConnectionSettings

KEY = KEY_SUBPROTOCOL + "rt_secret"


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ([], None),
        (["realtime.v1"], "realtime.v1"),
        (["realtime", "realtime.v1"], "realtime.v1"),
        (["realtime"], "realtime"),
        (["realtime", KEY], "realtime"),
        ([KEY, "realtime.v1"], "realtime.v1"),
        ([KEY], KEY),
        ([KEY, "openai-organization.org_1"], "openai-organization.org_1"),
        ([KEY, "realtime.v2"], None),
        (["realtime.v2"], None),
        (["graphql-ws"], None),
        (["Realtime"], None),
    ],
)
def test_select_subprotocol(offered: list[str], selected: str | None) -> None:
    assert select_subprotocol(offered) == selected


def test_select_subprotocol_can_learn() -> None:
    assert select_subprotocol(["realtime.v1.msgpack"], ["realtime.v1.msgpack"]) == "realtime.v1.msgpack"


@pytest.mark.parametrize(
    ("subprotocol", "native"),
    [("realtime.v1", True), ("realtime", False), (None, False), (KEY, False), ("openai-organization.org_1", False)],
)
def test_only_its_own_subprotocol_makes_a_client_native(subprotocol: str | None, native: bool) -> None:
    assert Profile.of(subprotocol).native is native


def test_every_profile_has_a_subprotocol_of_its_own() -> None:
    assert len(set(SUBPROTOCOLS)) == len(Profile)
    assert [Profile.of(name) for name in SUBPROTOCOLS] == list(Profile)


def test_limits_follow_the_settings() -> None:
    settings = ConnectionSettings(
        max_in_flight_per_connection=1, max_streams_per_connection=2, max_queued_per_connection=3,
        connection_lifetime_seconds=4, max_message_bytes=5000, max_json_depth=8, max_input_items=6, heartbeat_seconds=7,
    )  # fmt: skip
    limits = ConnectionLimits.of(settings)
    assert (limits.max_in_flight, limits.max_streams, limits.max_queued, limits.lifetime_seconds) == (1, 2, 3, 4)
    assert (limits.max_message_bytes, limits.message.max_depth, limits.message.max_items) == (5000, 8, 6)
    assert limits.heartbeat_seconds == 7


def test_the_defaults_of_the_settings_are_those_of_the_limits() -> None:
    """But for heartbeats, which a server sends unless it is told otherwise."""
    limits = ConnectionLimits.of(ConnectionSettings())
    assert msgspec.structs.replace(limits, heartbeat_seconds=0.0) == ConnectionLimits()


def test_a_client_is_told_the_limits_that_hold() -> None:
    limits = ConnectionLimits(max_in_flight=1, max_streams=2, lifetime_seconds=3, max_message_bytes=4)
    told = msgspec.to_builtins(limits.for_client())
    assert told == {"max_message_bytes": 4, "max_in_flight": 1, "max_streams": 2, "lifetime_seconds": 3}
