"""Images and files of a request as far as they are judged at once: each refusal with its code and its place."""

from __future__ import annotations

import base64

import msgspec
import pytest

from realtime.context.attachments import check_attachments, replace_images
from realtime.settings.fields import ImageSettings
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.items import (
    ContentPart,
    CustomToolCallOutput,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    Message,
)

SETTINGS = ImageSettings(image_urls="public", max_image_bytes=1026, max_file_bytes=6, max_images_per_request=3)
PNG = "data:image/png;base64,AAAA"


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def message(*parts: ContentPart, role: str = "user") -> Message:
    return Message(role=role, content=list(parts))  # type: ignore[arg-type]


def shown(url: str | None) -> InputImage:
    return InputImage(image_url=url)


FINE: dict[str, InputItem] = {
    "a data URL": message(InputText(text="see"), shown(PNG)),
    "a URL": message(shown("https://x.test/a.png")),
    "the largest": message(shown(f"data:image/webp;base64,{encode(bytes(1026))}")),
    "a tool's output": FunctionCallOutput(call_id="c", output=[shown(PNG)]),
    "a custom tool's": CustomToolCallOutput(call_id="c", output=[shown(PNG)]),
    "a text file": message(InputFile(file_data=f"data:text/plain;base64,{encode(b'text')}", filename="a.txt")),
    "one in plain": message(InputFile(file_data="data:application/json,{}")),
    "text only": Message(role="system", content="rules"),
}


@pytest.mark.parametrize("name", FINE)
def test_what_may_come(name: str) -> None:
    check_attachments([FINE[name]], SETTINGS, sees=True)


IMAGE, FILE = "input[0].content[0]", "input[0].content[0].file_data"
REFUSED: dict[str, tuple[InputItem, ErrorCode, str]] = {
    "no source": (message(shown(None)), ErrorCode.INVALID_IMAGE_URL, f"{IMAGE}.image_url"),
    "a stored file": (message(InputImage(file_id="file_1")), ErrorCode.IMAGE_FILE_NOT_FOUND, f"{IMAGE}.file_id"),
    "another scheme": (message(shown("ftp://x/a.png")), ErrorCode.INVALID_IMAGE_URL, f"{IMAGE}.image_url"),
    "a long URL": (message(shown(f"https://x/{'a' * 8192}")), ErrorCode.INVALID_IMAGE_URL, f"{IMAGE}.image_url"),
    "no comma": (message(shown("data:image/png;base64")), ErrorCode.INVALID_IMAGE_URL, f"{IMAGE}.image_url"),
    "another type": (
        message(shown("data:image/tiff;base64,AAAA")), ErrorCode.UNSUPPORTED_IMAGE_MEDIA_TYPE, f"{IMAGE}.image_url",
    ),
    "nothing in it": (message(shown("data:image/png;base64,")), ErrorCode.EMPTY_IMAGE_FILE, f"{IMAGE}.image_url"),
    "too large": (
        message(shown(f"data:image/png;base64,{encode(bytes(1029))}")), ErrorCode.IMAGE_FILE_TOO_LARGE,
        f"{IMAGE}.image_url",
    ),
    "not from the system": (message(shown(PNG), role="system"), ErrorCode.INVALID_REQUEST, IMAGE),
    "a tool's output, too": (
        FunctionCallOutput(call_id="c", output=[InputText(text="a"), shown(None)]), ErrorCode.INVALID_IMAGE_URL,
        "input[0].output[1].image_url",
    ),
    "too many": (message(*[shown(PNG)] * 4), ErrorCode.INVALID_REQUEST, "input"),
    "a file that is stored": (
        message(InputFile(file_id="file_1")), ErrorCode.UNSUPPORTED_PARAMETER, "input[0].content[0].file_id",
    ),
    "a file elsewhere": (
        message(InputFile(file_url="https://x")), ErrorCode.UNSUPPORTED_PARAMETER, "input[0].content[0].file_url",
    ),
    "a file of nothing": (message(InputFile()), ErrorCode.INVALID_REQUEST, FILE),
    "a file that is no text": (
        message(InputFile(file_data="data:application/pdf;base64,AAAA")), ErrorCode.UNSUPPORTED_PARAMETER, FILE,
    ),
    "a file that is too large": (
        message(InputFile(file_data=f"data:text/plain;base64,{encode(b'text' * 2)}")), ErrorCode.INVALID_REQUEST, FILE,
    ),
    "a file that is no UTF-8": (
        message(InputFile(file_data=f"data:text/plain;base64,{encode(bytes([255]))}")), ErrorCode.INVALID_REQUEST, FILE,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_not(name: str) -> None:
    item, code, path = REFUSED[name]
    with pytest.raises(WireError) as caught:
        check_attachments([item], SETTINGS, sees=True)
    assert (caught.value.code, caught.value.param) == (code, path)


def test_urls_are_fetched_only_where_the_operator_says_so() -> None:
    off = msgspec.structs.replace(SETTINGS, image_urls="off")
    check_attachments([FINE["a data URL"]], off, sees=True)
    with pytest.raises(WireError, match="fetches no images") as caught:
        check_attachments([FINE["a URL"]], off, sees=True)
    assert caught.value.code is ErrorCode.INVALID_IMAGE_URL


def test_a_model_that_can_not_see_refuses_images_or_is_told_of_them() -> None:
    with pytest.raises(WireError, match="reads text only") as caught:
        check_attachments([FINE["a data URL"]], SETTINGS, sees=False)
    assert (caught.value.code, caught.value.param) == (ErrorCode.UNSUPPORTED_PARAMETER, "input[0].content[1]")
    told = msgspec.structs.replace(SETTINGS, images_without_sight="describe")
    check_attachments([message(shown("anything"))], told, sees=False)


def test_a_note_takes_the_place_of_each_image() -> None:
    items: list[InputItem] = [
        Message(role="user", content="text"), message(InputText(text="see"), shown(PNG)),
        FunctionCallOutput(call_id="c", output=[shown(PNG)]), CustomToolCallOutput(call_id="c", output="text"),
    ]  # fmt: skip
    note = InputText(text="[image]")
    assert replace_images(items) == [
        items[0], message(InputText(text="see"), note), FunctionCallOutput(call_id="c", output=[note]), items[3],
    ]  # fmt: skip
    assert items[1] == message(InputText(text="see"), shown(PNG)), "what the history keeps is not changed"


@pytest.mark.parametrize("size", [1022, 1023, 1024])
def test_what_is_as_large_as_may_be_is_taken_and_one_byte_more_is_not(size: int) -> None:
    """Whatever the padding."""
    settings = ImageSettings(max_image_bytes=size, max_file_bytes=size)
    for head, part in (
        ("data:image/png;base64,", lambda url: shown(url)),
        ("data:text/plain;base64,", lambda url: InputFile(file_data=url)),
    ):
        check_attachments([message(part(head + encode(b"a" * size)))], settings, sees=True)
        with pytest.raises(WireError, match=f"larger than the limit of {size} bytes"):
            check_attachments([message(part(head + encode(b"a" * (size + 1))))], settings, sees=True)
