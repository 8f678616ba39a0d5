"""Load the images of a request: fetch, decode and check each, and attach it to its part as a `Picture`
(`engine.pictures`). Runs after a response has begun and before its prompt is rendered, in the pool where it takes CPU.

What can be judged without loading is refused before (`context.attachments`). An image and its address may hold a
secret: neither is logged, nor quoted in an error.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from realtime.context.attachments import check_image
from realtime.engine.pictures import Picture, attach, image_parts, picture_of, read
from realtime.settings.fields import ImageSettings
from realtime.wire import data_urls
from realtime.wire.errors import ErrorCode, Fault, WireError
from realtime.wire.items import InputImage, InputItem

from .public_fetch import BadUrl, FetchError, FetchLimits, PublicFetcher, TooLarge
from .work_pool import WorkPool

logger = logging.getLogger("realtime.images")

_MAX_FETCHED = 64  # images at once, all requests
_FAILURES: dict[type[FetchError], ErrorCode] = {
    BadUrl: ErrorCode.INVALID_IMAGE_URL,
    TooLarge: ErrorCode.IMAGE_FILE_TOO_LARGE,
    FetchError: ErrorCode.FAILED_TO_DOWNLOAD_IMAGE,
}


class ImageLoader:
    """A loader for the images of all responses, with bounds that they share."""

    def __init__(self, settings: ImageSettings, work: WorkPool, fetcher: PublicFetcher | None = None) -> None:
        limits = FetchLimits(
            max_bytes=settings.max_image_bytes,
            max_redirects=settings.max_image_redirects,
            connect_seconds=settings.image_connect_seconds,
            total_seconds=settings.image_download_seconds,
        )
        self._settings = settings
        self._work = work
        self._fetcher = fetcher or PublicFetcher(limits)
        self._fetching = asyncio.Semaphore(_MAX_FETCHED)

    async def load(self, tenant: str, items: Sequence[InputItem], own: Sequence[InputItem]) -> None:
        """Attach a picture to each image part that has none yet. `own`: the items of the request itself, for the path
        of a part at fault. Raises WireError.
        """
        paths = {id(part): path for path, part in image_parts(own)}
        missing = [part for _, part in image_parts(items) if picture_of(part) is None]
        tasks = [asyncio.create_task(self._data(part, paths.get(id(part), "input"))) for part in missing]
        try:
            for part, task in zip(missing, tasks, strict=True):
                attach(part, await self._picture(tenant, await task, paths.get(id(part), "input")))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _data(self, part: InputImage, path: str) -> bytes | str:
        """Return the image as it came: its bytes, or a data URL."""
        check_image(part, self._settings, path)  # also of what came by another door, or in an encrypted history
        url = part.image_url or ""
        if data_urls.is_data_url(url):
            return url
        with _at(path):
            return await self._fetched(url)

    async def _picture(self, tenant: str, data: bytes | str, path: str) -> Picture:
        with _at(path):
            return await self._work.run(tenant, lambda _: read(_decoded(data), self._settings.max_image_pixels))

    async def _fetched(self, url: str) -> bytes:
        began = time.monotonic()
        try:
            async with self._fetching:
                data = await self._fetcher.fetch(url)
        except FetchError as error:
            logger.info("image not fetched reason=%r seconds=%.2f", str(error), time.monotonic() - began)
            text = f"The image can't be fetched: {error}."
            raise WireError(_FAILURES[type(error)], text) from None
        logger.debug("image fetched bytes=%d seconds=%.2f", len(data), time.monotonic() - began)
        return data


def _decoded(data: bytes | str) -> bytes:
    if isinstance(data, bytes):
        return data
    head = data_urls.parse(data)
    assert head is not None, "`check_image` has seen to that"
    try:
        return head.decode(data)
    except ValueError:
        text = "The data URL of the image holds what is not base64."
        raise WireError(ErrorCode.INVALID_BASE64_IMAGE, text) from None


@contextmanager
def _at(path: str) -> Iterator[None]:
    """Add the path of the image to an error."""
    try:
        yield
    except WireError as error:
        param = f"{path}.image_url" if error.spec.fault is Fault.CLIENT else None
        raise WireError(error.code, error.message, param=param, retry_after=error.retry_after) from None
