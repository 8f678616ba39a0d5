"""The raw writer sends the frames that the server has sent, and what is measured of it has the same form."""

from __future__ import annotations

import json

import pytest

from bench import servers
from bench.floor import Recording, split_frames
from bench.worker import Worker

TOKENS = 32


def test_frames_are_split_at_their_lengths() -> None:
    frames = [b"\x81\x05hello", b"\x81\x7e" + (300).to_bytes(2, "big") + b"x" * 300,
              b"\x81\x7f" + (70_000).to_bytes(8, "big") + b"y" * 70_000]  # fmt: skip
    assert split_frames(b"".join(frames)) == frames


def test_a_recording_is_played_a_delta_at_a_time() -> None:
    delta = b'{"type":"response.output_text.delta"}'
    played = list(Recording([b"a", b"b", delta, delta, delta, b"y", b"z"]).play(2))
    assert played == [b"ab", delta, delta, b"yz"]


def test_a_recording_says_how_many_tokens_were_played() -> None:
    delta, end = b'{"type":"response.output_text.delta"}', b'{"usage":{"output_tokens":256,"total_tokens":300}}'
    last = list(Recording([delta] * 256 + [end]).play(64))[-1]
    assert json.loads(last)["usage"]["output_tokens"] == 64
    assert len(last) == len(end)


@pytest.mark.parametrize("lanes", [1, 2])
def test_the_floor_has_the_bytes_of_the_server(lanes: int) -> None:
    with servers.scripted() as server, servers.floor(server, TOKENS) as floor, Worker("bench.load") as client:
        ours, raw = (
            client.do(
                "streams", protocol="websocket", port=one.port, pid=one.pid, model=servers.MODEL_NAME,
                num_streams=2, rounds=2, tokens=TOKENS, lanes=lanes,
            )
            for one in (server, floor)
        )  # fmt: skip
    assert raw["events"] == ours["events"] == 2 * 2 * TOKENS * lanes
    assert raw["tokens"] == ours["tokens"]
    assert abs(raw["bytes_per_token"] - ours["bytes_per_token"]) < 30  # the stream_id is in ours, with lanes
    assert raw.keys() == ours.keys()


def test_the_floor_keeps_its_pace() -> None:
    with servers.scripted() as server, servers.floor(server, TOKENS) as floor, Worker("bench.load") as client:
        servers.set_pace(floor, 0.01)
        found = client.do(
            "streams", protocol="websocket", port=floor.port, pid=floor.pid, model=servers.MODEL_NAME,
            num_streams=1, rounds=1, tokens=TOKENS,
        )  # fmt: skip
    assert found["tokens_per_second"] <= 100 * (TOKENS + 2) / TOKENS
