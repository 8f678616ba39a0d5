"""Check a request's images and files as far as that can be done at once: who may send them, in which form, how much.
Pure.

Fetching and decoding take longer: `runs.image_loader` does both once the response has begun. It makes a `Picture`
(`engine.pictures`) of each image.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from realtime.engine import pictures
from realtime.settings.fields import ImageSettings
from realtime.wire import data_urls
from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.item_texts import is_text_type, part_text, parts_of
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

_NOTE = "[image]"  # what a model that can't see gets of one
_MAX_URL = 8192  # characters of a URL that is to be fetched


def check_attachments(items: Sequence[InputItem], settings: ImageSettings, *, sees: bool) -> None:
    """Refuse images and files that can't be served. Raises WireError with the part's path."""
    num_images = 0
    for path, item, part in parts_of(items, (InputFile, InputImage)):
        if isinstance(part, InputFile):
            _check_file(part, settings, path)
        elif isinstance(part, InputImage):
            num_images += 1
            _check_place(item, settings, path, sees=sees)
            if sees:
                check_image(part, settings, path)
    if num_images > settings.max_images_per_request:
        text = f"`input` has {num_images} images; at most {settings.max_images_per_request} are accepted."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param="input")


def replace_images(items: Sequence[InputItem]) -> list[InputItem]:
    """Replace each image by a note, for a model that can't see: it knows that there was one."""
    if next(parts_of(items, InputImage), None) is None:
        return list(items)
    replaced: list[InputItem] = []
    for item in items:
        match item:
            case Message(content=list() as parts):
                replaced.append(msgspec.structs.replace(item, content=_replace(parts)))
            case FunctionCallOutput(output=list() as parts) | CustomToolCallOutput(output=list() as parts):
                replaced.append(msgspec.structs.replace(item, output=_replace(parts)))
            case _:
                replaced.append(item)
    return replaced


def _replace(parts: list[ContentPart]) -> list[ContentPart]:
    return [InputText(text=_NOTE) if isinstance(part, InputImage) else part for part in parts]


def _check_place(item: InputItem, settings: ImageSettings, path: str, *, sees: bool) -> None:
    if not sees and settings.images_without_sight == "refuse":
        text = f"This model reads text only: leave out the image at `{path}`, or ask a model that can see."
        raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=path)
    if isinstance(item, Message) and item.role != "user":
        text = f"Images belong in messages of the user and outputs of tools; `{path}` has the role '{item.role}'."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param=path)


def check_image(part: InputImage, settings: ImageSettings, path: str) -> None:
    """Refuse an image whose source can't be one, as far as the source tells. Raises WireError."""
    url = part.image_url
    if not isinstance(url, str) or not url:
        if isinstance(part.file_id, str):
            text = "No files are stored here: send the image itself, as a data URL in `image_url`."
            raise WireError(ErrorCode.IMAGE_FILE_NOT_FOUND, text, param=f"{path}.file_id")
        raise WireError(ErrorCode.INVALID_IMAGE_URL, f"`{path}.image_url` is required.", param=f"{path}.image_url")
    path = f"{path}.image_url"
    if data_urls.is_data_url(url):
        _check_data(url, settings, path)
    elif url[:8].lower().startswith(("http://", "https://")):
        _check_url(url, settings, path)
    else:
        text = "An image is given by a data URL, or by one that begins with https:// or http://."
        raise WireError(ErrorCode.INVALID_IMAGE_URL, text, param=path)


def _check_data(url: str, settings: ImageSettings, path: str) -> None:
    head = data_urls.parse(url)
    if head is None:
        text = "A data URL reads `data:image/png;base64,...`; this one has no comma where that should be."
        raise WireError(ErrorCode.INVALID_IMAGE_URL, text, param=path)
    if head.media_type not in pictures.MEDIA_TYPES:
        text = f"Images of type '{head.media_type[:64]}' are not served: send PNG, JPEG, WebP or GIF."
        raise WireError(ErrorCode.UNSUPPORTED_IMAGE_MEDIA_TYPE, text, param=path)
    if head.start == len(url):
        raise WireError(
            ErrorCode.EMPTY_IMAGE_FILE, "The data URL of the image is empty: send the image in base64.", param=path
        )
    if head.num_bytes(url) > settings.max_image_bytes:
        text = f"The image is larger than the limit of {settings.max_image_bytes} bytes: send a smaller one."
        raise WireError(ErrorCode.IMAGE_FILE_TOO_LARGE, text, param=path)


def _check_url(url: str, settings: ImageSettings, path: str) -> None:
    if settings.image_urls == "off":
        text = "This server fetches no images: send the image itself, as a data URL. (Operators: image_urls = public.)"
        raise WireError(ErrorCode.INVALID_IMAGE_URL, text, param=path)
    if len(url) > _MAX_URL:
        text = f"The URL of the image is longer than {_MAX_URL} characters: send the image itself, as a data URL."
        raise WireError(ErrorCode.INVALID_IMAGE_URL, text, param=path)


def _check_file(part: InputFile, settings: ImageSettings, path: str) -> None:
    for member in ("file_id", "file_url"):
        if isinstance(getattr(part, member), str):
            text = f"`{member}` is not supported, no files are stored or fetched here: send text as `file_data`."
            raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=f"{path}.{member}")
    path, url = f"{path}.file_data", part.file_data
    head = data_urls.parse(url) if isinstance(url, str) and data_urls.is_data_url(url) else None
    if head is None or not isinstance(url, str):
        text = "A file is given as a data URL: `data:text/plain;base64,...`."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param=path)
    if not is_text_type(head.media_type):
        text = f"Files of type '{head.media_type[:64]}' are not served: send text, as text/plain or application/json."
        raise WireError(ErrorCode.UNSUPPORTED_PARAMETER, text, param=path)
    if head.num_bytes(url) > settings.max_file_bytes:
        text = f"The file is larger than the limit of {settings.max_file_bytes} bytes: send a smaller one."
        raise WireError(ErrorCode.INVALID_REQUEST, text, param=path)
    if head.charset not in ("utf-8", "utf8", "us-ascii") or part_text(part) is None:
        raise WireError(
            ErrorCode.INVALID_REQUEST, "The file is not UTF-8 text: send text, plain or in base64.", param=path
        )
