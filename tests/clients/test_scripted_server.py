"""`serve --engine scripted --script FILE`: a server for black-box tests of clients, whose sockets go wrong as told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import realtime_client
from realtime.server.script_file import CannotPlay, read_script
from realtime_client import ConnectionLost, Policy, ResponseFailed
from tests.support.process import serve

SCRIPT = """
tick_seconds = 0.001

[[responses]]
say = ["one ", {pause = 5}, "two "]
repeat = 20

[[responses]]
say = ["half ", {fail = "out of luck"}]

[[connections]]
refuse = {status = 401, body = {error = {code = "invalid_api_key", message = "Not you."}}}

[[connections]]
hole_after = 6
hole_seconds = 0.3

[[connections]]
refuse = {status = 503}

[[connections]]
delay_seconds = 0.01
lose = [4]
cut_after = 9
close_code = 1012

[[connections]]
cut_after = 6
"""


async def test_a_client_gets_through_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(SCRIPT)
    policy = Policy(
        initial_delay_seconds=0.01, connect_timeout_seconds=0.2, heartbeat_seconds=1, max_missed_heartbeats=1
    )
    async with serve("--engine", "scripted", "--script", str(path)) as process:
        url = f"ws://{await process.ready()}/v1/responses"
        with pytest.raises(ConnectionLost, match=r"HTTP 401: invalid_api_key: Not you\."):
            async with realtime_client.connect(url, proxy=None):
                pass
        async with realtime_client.connect(url, proxy=None, policy=policy) as client:
            response = await client.create(input="hi", catch_up="events")
            numbers = [event["sequence_number"] async for event in response]
            assert numbers == list(range(len(numbers)))
            assert (await response.result()).output_text == "one two " * 20
            with pytest.raises(ResponseFailed):
                await (await client.create(input="hi")).result()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("responses = []", "length >= 1"),
        ("[[responses]]\nsay = ['x']\nrepeet = 3", "unknown field `repeet`"),
        ("[[responses]]\nsay = ['x']\n[[connections]]\ncut_after = -1", "connections"),
        ("say = [", "can't be played"),
        ("x = " + "[" * 5000, "can't be played"),
        ("[[responses]]\nsay = []\nrepeat = 1000000", "length >= 1"),
        ("[[responses]]\nsay = [{}]", "exactly one of"),
        ("[[responses]]\nsay = [{pause = 1, die = 'x'}]", "exactly one of"),
        ("[[responses]]\nsay = ['x']\n[[connections]]\ncut_after = 1\nclose_code = 1006", "no close frame"),
        ("[[responses]]\nsay = ['x']\n[[connections]]\nrefuse = {status = 503, body = {at = 2026-01-01}}", "no JSON"),
        ("[[responses]]\nsay = ['x']\n[[connections]]\ncut_after = 1\nlose = [-1]", ">= 0"),
    ],
)
def test_what_is_no_script_is_told(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(CannotPlay, match=says):
        read_script(path)


def test_the_readme_shows_a_script_that_can_be_played(tmp_path: Path) -> None:
    readme = Path(__file__).parents[2] / "clients/conformance/README.md"
    path = tmp_path / "faults.toml"
    path.write_text(readme.read_text("utf-8").partition("```toml\n")[2].partition("```")[0])
    script = read_script(path)
    assert len(script.connections) == 3
    steps: list[Any] = list(script.script(None))  # type: ignore[arg-type]
    assert len(steps) == 400
    refuse = script.connections[1].refuse
    assert refuse is not None
    assert json.dumps(refuse.body).startswith('{"error"')
