"""Which bytes are images, and what a model is shown of them."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from PIL import Image

from realtime.engine.pictures import read
from realtime.wire.errors import ErrorCode, WireError
from tests.support.pictures import image

MAX = 1_000_000


def refusal(data: bytes, max_pixels: int = MAX) -> ErrorCode:
    with pytest.raises(WireError) as caught:
        read(data, max_pixels)
    return caught.value.code


def png_that_claims(width: int, height: int) -> bytes:
    """A file of 60 bytes whose header is right."""
    chunks = [(b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", b""), (b"IEND", b"")]
    body = [struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))
            for kind, data in chunks]  # fmt: skip
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_what_is_served(form: str) -> None:
    picture = read(image("red", (20, 10), form), MAX)
    assert (picture.width, picture.height) == (20, 10)
    pixels = picture.pixels()
    assert (pixels.mode, pixels.size) == ("RGB", (20, 10))
    red, green, blue = pixels.getpixel((5, 5))  # type: ignore[misc]
    assert red > 250
    assert max(green, blue) < 5


def test_the_same_file_is_the_same_picture() -> None:
    assert read(image(), MAX).digest == read(image(), MAX).digest != read(image("blue"), MAX).digest


def test_of_a_moving_one_the_first_frame() -> None:
    file = io.BytesIO()
    first, second = (Image.new("RGB", (4, 4), color) for color in ("red", "blue"))
    first.save(file, "GIF", save_all=True, append_images=[second])
    assert read(file.getvalue(), MAX).pixels().getpixel((0, 0)) == (255, 0, 0)


def test_what_is_transparent_is_white() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(file, "PNG")
    assert read(file.getvalue(), MAX).pixels().getpixel((0, 0)) == (255, 255, 255)


def test_a_photograph_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    assert read(image("red", (20, 10), "JPEG", exif=exif), MAX).pixels().size == (10, 20)


@pytest.mark.parametrize("form", ["BMP", "TIFF", "PPM", "ICO", "PDF"])
def test_other_formats_are_not_even_tried(form: str) -> None:
    assert refusal(image("red", (16, 16), form)) is ErrorCode.IMAGE_PARSE_ERROR


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF"])
def test_half_a_file(form: str) -> None:
    data = io.BytesIO()
    Image.effect_noise((64, 64), 90).convert("RGB").save(data, form)
    assert refusal(data.getvalue()[: len(data.getvalue()) // 2]) is ErrorCode.IMAGE_PARSE_ERROR


@pytest.mark.parametrize("data", [b"<svg/>", b"<html>", b"\0" * 100, image()[:20], b"\x89PNG\r\n\x1a\n"])
def test_no_image(data: bytes) -> None:
    assert refusal(data) is ErrorCode.IMAGE_PARSE_ERROR


def test_nothing() -> None:
    assert refusal(b"") is ErrorCode.EMPTY_IMAGE_FILE


@pytest.mark.parametrize(("width", "height"), [(1001, 1000), (12_000, 12_000), (100_000, 100_000), (2**31 - 1, 1)])
def test_many_pixels_are_refused_by_the_header(width: int, height: int) -> None:
    """With our limit, with Pillow's warning and with its error; the file has no pixels at all."""
    assert refusal(png_that_claims(width, height)) is ErrorCode.IMAGE_TOO_LARGE


@pytest.mark.parametrize("side", [10_000, 14_000])
def test_a_generous_limit_does_not_lift_pillows(side: int) -> None:
    assert refusal(png_that_claims(side, side), 10**12) is ErrorCode.IMAGE_TOO_LARGE


def test_a_picture_is_found_again_under_its_salt_and_no_other() -> None:
    """Or a tenant could tell by the time that it takes whether another has sent the same picture."""
    red, again, blue = read(image(), MAX), read(image(), MAX), read(image("blue"), MAX)
    salts = (None, "a", "b", "")
    keys = {salt: red.view(salt).key for salt in salts}
    assert len(set(keys.values())) == len(salts)
    assert {salt: again.view(salt).key for salt in salts} == keys
    assert not {blue.view(salt).key for salt in salts} & set(keys.values())
    assert all(red.digest not in key for salt, key in keys.items() if salt is not None)
    assert red.view("a").pixels.tobytes() == red.pixels().tobytes()
