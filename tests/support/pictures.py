"""Images for tests, made on the spot."""

from __future__ import annotations

import base64
import io
from typing import Any

from PIL import Image


def image(color: str = "red", size: tuple[int, int] = (10, 10), form: str = "PNG", **options: Any) -> bytes:
    """A file of one color."""
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, form, **options)
    return file.getvalue()


def data_url(data: bytes, media_type: str = "image/png") -> str:
    """The file as a data URL."""
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def question(*urls: str, text: str = "What is this?") -> list[dict[str, Any]]:
    """An `input` that asks about images."""
    images = [{"type": "input_image", "image_url": url, "detail": "auto"} for url in urls]
    return [{"role": "user", "content": [*images, {"type": "input_text", "text": text}]}]
