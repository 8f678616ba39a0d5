"""`data:` URLs (RFC 2397), by which clients put files into a request. Pure; nothing here copies a URL that it does not
decode, and no error quotes one.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import unquote_to_bytes

import msgspec


class DataUrl(msgspec.Struct, frozen=True):
    """The head of a data URL. Its data is `url[start:]`."""

    media_type: str  # in lower case, without parameters
    charset: str
    is_base64: bool
    start: int

    def num_bytes(self, url: str) -> int:
        """Return how many bytes it holds, judged by its length: exactly for valid base64, otherwise at most."""
        size = len(url) - self.start
        return size * 3 // 4 - (url.endswith("=") + url.endswith("==")) if self.is_base64 else size

    def decode(self, url: str) -> bytes:
        """Return its data. Raises ValueError for invalid base64."""
        body = url[self.start :]
        if not self.is_base64:
            return unquote_to_bytes(body)
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise ValueError(str(error)) from None


def is_data_url(url: str) -> bool:
    """Return whether it is meant as a data URL."""
    return url[:5].lower() == "data:"


def parse(url: str) -> DataUrl | None:
    """Return the head of a data URL; None for one that has no end, or is absurdly long."""
    comma = url.find(",", 5, 512)
    if comma < 0:
        return None
    media_type, *parameters = (word.strip().lower() for word in url[5:comma].split(";"))
    charset = next((word[8:].strip('"') for word in parameters if word.startswith("charset=")), "utf-8")
    return DataUrl(media_type or "text/plain", charset, "base64" in parameters, comma + 1)
