"""A `Picture`: one image as it is shown to a model, wherever it came from. Pure. Imports Pillow late, because that is
slow. `context.attachments` checks the parts that bring images, `runs.image_loader` makes pictures of them.

A picture keeps its file as it came, with the digest by which engines recognize it. Pixels are made when they are
needed, so that a conversation holds kilobytes and not megapixels.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from realtime.wire.errors import ErrorCode, WireError
from realtime.wire.item_texts import parts_of
from realtime.wire.items import InputImage, InputItem

if TYPE_CHECKING:
    from PIL.Image import Image

MEDIA_TYPES = {"image/png": "PNG", "image/jpeg": "JPEG", "image/jpg": "JPEG", "image/webp": "WEBP", "image/gif": "GIF"}
_FORMATS = tuple(dict.fromkeys(MEDIA_TYPES.values()))


class View(msgspec.Struct, frozen=True):
    """A picture as an engine takes it. `key`: an engine may reuse what it has made of a view for any other with the
    same key.
    """

    key: str
    pixels: Image


class Picture(msgspec.Struct, frozen=True):
    """An image that has passed its checks."""

    digest: str  # SHA-256 of `data`
    data: bytes
    width: int  # pixels, as stored in the file
    height: int

    def view(self, salt: str | None) -> View:
        """Return the picture for an engine, which recognizes it only under the same salt. CPU-bound, as `pixels`."""
        return View(self.digest if salt is None else _salted(self.digest, salt), self.pixels())

    def pixels(self) -> Image:
        """Return the pixels: red, green and blue, upright, transparency on white. CPU-bound: up to a second for the
        largest.
        """
        with _open(self.data) as image:
            return _upright(image)


def read(data: bytes, max_pixels: int) -> Picture:
    """Check that this is a complete image of a supported type, and not too large. CPU-bound. Raises WireError.

    The size is read from the header first: a file of kilobytes can claim gigapixels.
    """
    if not data:
        raise WireError(ErrorCode.EMPTY_IMAGE_FILE, "The image is empty: it has no bytes.")
    try:
        with _open(data) as image:
            width, height = image.size
            if width * height <= max_pixels:
                _upright(image)
    except Exception as error:  # Pillow's readers raise whatever they like at bytes that are made to break them
        if type(error).__name__.startswith("DecompressionBomb"):
            width = height = 1 << 20
        else:
            text = "The image can't be read: it is damaged, cut short, or no PNG, JPEG, WebP or GIF."
            raise WireError(ErrorCode.IMAGE_PARSE_ERROR, text) from None
    if width * height > max_pixels:
        text = f"The image has more than the limit of {max_pixels} pixels (width times height): scale it down."
        raise WireError(ErrorCode.IMAGE_TOO_LARGE, text)
    return Picture(hashlib.sha256(data).hexdigest(), data, width, height)


def picture_of(part: InputImage) -> Picture | None:
    """Return the picture of a part; None until it has been loaded."""
    picture: Picture | None = part.__dict__.get("picture")
    return picture


def attach(part: InputImage, picture: Picture) -> None:
    """Attach a picture to a part, wherever its item goes."""
    part.__dict__["picture"] = picture


def image_parts(items: Sequence[InputItem]) -> Iterator[tuple[str, InputImage]]:
    """Yield every image in these items, in order, with its path below `input`."""
    return ((path, part) for path, _, part in parts_of(items, InputImage))


def _salted(digest: str, salt: str) -> str:
    return hmac.digest(salt.encode("utf-8", "surrogatepass"), digest.encode(), "sha256").hex()


def _open(data: bytes) -> Image:
    from PIL import Image

    # Pillow only warns of up to twice its own limit; whatever the server's limit is, nobody gets beyond Pillow's.
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    return Image.open(io.BytesIO(data), formats=_FORMATS)


def _upright(image: Image) -> Image:
    """Return the first frame, turned as the camera was held."""
    from PIL import Image, ImageOps

    image.load()
    turned = ImageOps.exif_transpose(image)
    if not turned.has_transparency_data:
        return turned.convert("RGB")
    white = Image.new("RGBA", turned.size, "white")
    return Image.alpha_composite(white, turned.convert("RGBA")).convert("RGB")
