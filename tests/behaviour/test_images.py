"""Images and files through the door: who gets what answer, and that nothing of them is told to anybody else."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from realtime.engine.scripted import say
from realtime.runs.image_loader import ImageLoader
from realtime.runs.public_fetch import BadUrl, FetchError, FetchLimits, PublicFetcher, TooLarge
from tests.support.pictures import data_url, image, question
from tests.support.server import Running, changed, running

RED = data_url(image("red", (40, 30)))
URL = "https://pictures.test/cat.png?signature=SECRET"


class Pictures(PublicFetcher):
    """Fetches from here."""

    def __init__(self, answer: bytes | FetchError) -> None:
        super().__init__(FetchLimits(max_bytes=1, max_redirects=0, connect_seconds=1, total_seconds=1))
        self.answer = answer
        self.fetched: list[str] = []
        self.hold: asyncio.Event | None = None

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.hold is not None:
            await self.hold.wait()
        if isinstance(self.answer, FetchError):
            raise self.answer
        return self.answer


@asynccontextmanager
async def seeing(fetcher: PublicFetcher | None = None, **settings: Any) -> AsyncIterator[Running]:
    async with running(say("ok"), changed(image_urls="public", **settings), sees=True) as server:
        if fetcher is not None:
            service = server.gateway.service
            service._servings._images = ImageLoader(service._image_settings, service._work, fetcher)
        yield server


def part(**members: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "input_text", "text": "see"}, members]}]


async def answer(server: Running, input: Any, **members: Any) -> dict[str, Any]:
    """The last event's response, or the error."""
    async with server.client() as client:
        await client.send("response.create", input=input, **members)
        last = (await client.until_done())[-1]
        result: dict[str, Any] = last.get("response") or last["error"]
        return result


async def test_an_image_is_seen_and_its_tokens_are_counted() -> None:
    async with seeing() as server:
        without, with_one = await answer(server, question()), await answer(server, question(RED))
        assert with_one["status"] == "completed"
        marker = len("<image>")
        assert with_one["usage"]["input_tokens"] - without["usage"]["input_tokens"] == marker + 40 * 30 // 100


REFUSED = {
    "a file's id": ({"file_id": "file_1"}, "image_file_not_found", ".file_id"),
    "nothing": ({}, "invalid_image_url", ".image_url"),
    "no URL": ({"image_url": "cat.png"}, "invalid_image_url", ".image_url"),
    "another scheme": ({"image_url": "file:///etc/passwd"}, "invalid_image_url", ".image_url"),
    "no comma": ({"image_url": "data:image/png;base64"}, "invalid_image_url", ".image_url"),
    "another type": ({"image_url": "data:image/svg+xml;base64,AAAA"}, "unsupported_image_media_type", ".image_url"),
    "no type": ({"image_url": "data:,AAAA"}, "unsupported_image_media_type", ".image_url"),
    "empty": ({"image_url": "data:image/png;base64,"}, "empty_image_file", ".image_url"),
    "large": ({"image_url": data_url(b"x" * 2000)}, "image_file_too_large", ".image_url"),
    "a long URL": ({"image_url": "https://a.test/" + "x" * 9000}, "invalid_image_url", ".image_url"),
}


@pytest.mark.parametrize(("members", "code", "member"), REFUSED.values(), ids=REFUSED)
async def test_what_is_refused_at_once(members: dict[str, Any], code: str, member: str) -> None:
    async with seeing(max_image_bytes=1024) as server:
        error = await answer(server, part(type="input_image", **members))
        assert (error["code"], error["param"]) == (code, f"input[0].content[1]{member}")
        assert (await answer(server, "hi"))["status"] == "completed"


FAILED = {
    "no base64": ("data:image/png;base64,!!!!", "invalid_base64_image"),
    "damaged": (data_url(image()[:40]), "image_parse_error"),
    "no image": (data_url(b"hello"), "image_parse_error"),
    "many pixels": (data_url(image("red", (200, 200))), "image_too_large"),
}


@pytest.mark.parametrize(("url", "code"), FAILED.values(), ids=FAILED)
async def test_what_fails_when_it_is_decoded(url: str, code: str) -> None:
    async with seeing(max_image_pixels=10_000) as server:
        response = await answer(server, part(type="input_image", image_url=url))
        assert response["status"] == "failed"
        assert (response["error"]["code"], response["error"]["param"]) == (code, "input[0].content[1].image_url")


async def test_a_url_is_fetched_once_and_what_was_seen_is_kept() -> None:
    pictures = Pictures(image("red", (40, 30)))
    async with seeing(pictures) as server:
        first = await answer(server, part(type="input_image", image_url=URL))
        assert first["status"] == "completed"
        again = await answer(server, "and now?", previous_response_id=first["id"])
        assert pictures.fetched == [URL]
        assert again["usage"]["input_tokens"] > first["usage"]["input_tokens"]
        record = await server.gateway.service.registry.store.get(first["id"], 0)
        assert record is not None
        assert record.turn is not None
        turn, prompt = record.turn, record.turn.prompt
        assert prompt is not None
        said = len(prompt.text) + 4 * len(prompt.token_ids) + 4 * len(turn.token_ids)
        assert turn.num_bytes - said == len(image("red", (40, 30))) + len(URL)
        assert prompt.seen is None, "what only the generation needed is not kept"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (FetchError("it took too long"), "failed_to_download_image"),
        (BadUrl("its host is not on the public network"), "invalid_image_url"),
        (TooLarge("it is larger than 1 bytes"), "image_file_too_large"),
    ],
)
async def test_what_can_not_be_fetched_and_that_its_url_is_nobodys_business(
    error: FetchError, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with seeing(Pictures(error)) as server:
        response = await answer(server, part(type="input_image", image_url=URL))
        assert response["error"]["code"] == code
        assert "SECRET" not in response["error"]["message"]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("realtime")]
    assert any("not fetched" in line for line in ours)
    assert not any("SECRET" in line or "cat.png" in line for line in ours)


async def test_a_response_can_be_cancelled_while_its_image_is_fetched() -> None:
    pictures = Pictures(image())
    pictures.hold = asyncio.Event()
    async with seeing(pictures) as server, server.client() as client:
        await client.send("response.create", input=part(type="input_image", image_url=URL))
        response_id = (await client.receive())["response"]["id"]
        await client.receive()  # in progress
        await client.send("response.cancel", response_id=response_id)
        assert (await client.until_done())[-1]["response"]["status"] == "cancelled"


async def test_urls_are_not_fetched_unless_the_operator_says_so() -> None:
    pictures = Pictures(image())
    async with running(say("ok"), sees=True) as server:
        service = server.gateway.service
        service._servings._images = ImageLoader(service._image_settings, service._work, pictures)
        error = await answer(server, part(type="input_image", image_url=URL))
        assert error["code"] == "invalid_image_url"
        assert "image_urls" in error["message"]
        assert (await answer(server, question(RED)))["status"] == "completed"
    assert pictures.fetched == []


async def test_too_many_images() -> None:
    async with seeing(max_images_per_request=2) as server:
        assert (await answer(server, question(RED, RED)))["status"] == "completed"
        error = await answer(server, question(RED, RED, RED))
        assert (error["code"], error["param"]) == ("invalid_request", "input")


@pytest.mark.parametrize("role", ["system", "developer", "assistant"])
async def test_only_users_and_tools_show_images(role: str) -> None:
    async with seeing() as server:
        error = await answer(server, [{**question(RED)[0], "role": role}])
        assert (error["code"], error["param"]) == ("invalid_request", "input[0].content[0]")


async def test_a_tool_shows_an_image() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": RED}]}
    async with seeing() as server:
        assert (await answer(server, [call, output]))["usage"]["input_tokens"] > 12
    async with running(say("ok")) as server:
        assert (await answer(server, [call, output]))["param"] == "input[1].output[0]"


async def test_a_model_that_can_not_see_says_so_or_is_told() -> None:
    async with running(say("ok")) as server:
        error = await answer(server, question(RED))
        assert (error["code"], error["param"]) == ("unsupported_parameter", "input[0].content[0]")
        assert "reads text only" in error["message"]
    async with running(say("ok"), changed(images_without_sight="describe")) as server:
        described = await answer(server, question(RED, text="?"))
        assert described["status"] == "completed"
        assert described["usage"] == (await answer(server, "[image]?"))["usage"]


def file(text: str | bytes, media_type: str = "text/plain", **members: Any) -> list[dict[str, Any]]:
    data = base64.b64encode(text.encode() if isinstance(text, str) else text).decode()
    return part(type="input_file", file_data=f"data:{media_type};base64,{data}", **members)


async def test_a_text_file_is_read() -> None:
    async with running(say("ok")) as server:
        read = await answer(server, file('{"a": 1}', "application/json", filename="a.json"))
        assert read["usage"] == (await answer(server, 'seeFile "a.json":\n{"a": 1}\n'))["usage"]


FILES = {
    "a file's id": (part(type="input_file", file_id="file_1"), "unsupported_parameter", "file_id"),
    "a file's URL": (part(type="input_file", file_url="https://a.test/x"), "unsupported_parameter", "file_url"),
    "nothing": (part(type="input_file"), "invalid_request", "file_data"),
    "no data URL": (part(type="input_file", file_data="aGk="), "invalid_request", "file_data"),
    "another type": (file("%PDF", "application/pdf"), "unsupported_parameter", "file_data"),
    "no UTF-8": (file(b"\xff\xfe\xfa"), "invalid_request", "file_data"),
    "another charset": (file("hi", "text/plain;charset=latin-1"), "invalid_request", "file_data"),
    "large": (file("x" * 2000), "invalid_request", "file_data"),
}


@pytest.mark.parametrize(("input", "code", "member"), FILES.values(), ids=FILES)
async def test_files_that_are_refused(input: Any, code: str, member: str) -> None:
    async with running(say("ok"), changed(max_file_bytes=1000)) as server:
        error = await answer(server, input)
        assert (error["code"], error["param"]) == (code, f"input[0].content[1].{member}")
