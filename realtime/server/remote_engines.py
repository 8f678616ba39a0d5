"""Remote engines, as the settings name them: checked before anything starts, and made for the supervisor."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from realtime.engine.base import Engine
from realtime.engine.options import RemoteOptions, VllmOptions
from realtime.engine.remote.engine import RemoteEngine
from realtime.engine.remote.http import Address
from realtime.observability.fleet_metrics import FleetMetrics
from realtime.observability.progress import Progress
from realtime.settings.fields import Settings
from realtime.settings.sources import SettingsError

if TYPE_CHECKING:
    from realtime.engine.vllm.front import Front

logger = logging.getLogger("realtime.server")

MAX_ENGINES = 64
_MAX_KEY_BYTES = 8 << 10


def check_remote(settings: Settings) -> None:
    """Refuse invalid settings of remote engines. Raises SettingsError, whose text shows no URL and no key."""
    remote = settings.remote
    if settings.engine != "remote":
        if remote.engine_url:
            raise SettingsError("--engine-url is for engines elsewhere: give --engine remote as well")
        return
    if not 1 <= len(remote.engine_url) <= MAX_ENGINES:
        raise SettingsError(f"--engine remote needs --engine-url with 1 to {MAX_ENGINES} URLs, separated by commas")
    addresses = list(map(_address, remote.engine_url))
    if len(set(addresses)) < len(addresses):
        raise SettingsError("--engine-url names an engine twice")
    if sends_key_in_the_clear(remote):
        logger.warning("the key of engines elsewhere is sent over http, which others on the way can read: use https")


def sends_key_in_the_clear(options: RemoteOptions) -> bool:
    """Return whether others on the way can read the engines' key. Raises SettingsError."""
    addresses = map(_address, options.engine_url)
    return key_of(options) is not None and any(not one.tls and not _is_loopback(one.host) for one in addresses)


def key_of(options: RemoteOptions) -> str | None:
    """Return the API key of the engines. Raises SettingsError."""
    key, place = options.engine_key, "engine_key"
    if options.engine_key_file is not None:
        place = f"--engine-key-file: the file {options.engine_key_file}"
        try:
            with Path(options.engine_key_file).open("rb") as file:
                key = file.read(_MAX_KEY_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{place} can't be read: {type(error).__name__}") from None
    if key is not None and (not key or not key.isascii() or not key.isprintable() or " " in key):
        raise SettingsError(f"{place} holds no key: it is one line of printable ASCII letters")
    return key


def remote_factory(
    options: VllmOptions, remote: RemoteOptions, metrics: FleetMetrics, progress: Progress
) -> Callable[[], Engine]:
    """Return a factory of engines, which share what was read of the model's files. Raises SettingsError."""
    key, front = key_of(remote), _LoadedOnce(options, progress)
    return lambda: RemoteEngine(options, remote, key, front.get, metrics)


class _LoadedOnce:
    """A node's own data of the model, loaded for the first engine."""

    def __init__(self, options: VllmOptions, progress: Progress) -> None:
        self._options = options
        self._progress = progress
        self._front: Front | None = None

    async def get(self) -> Front:
        """Return the data, and load it if that has not happened. Raises EngineError."""
        if self._front is None:
            from realtime.engine.vllm.front import load_front

            self._front = await asyncio.to_thread(load_front, self._options, self._progress)
        return self._front


def _address(url: str) -> Address:
    try:
        return Address.of(url)
    except ValueError as error:
        raise SettingsError(f"--engine-url: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
