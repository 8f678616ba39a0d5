"""What a server with a real engine leaves behind of files and semaphores: nothing, however it ends."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

STAYS = ("torchinductor_", "realtime-servers-")  # a cache, and the folder of notes of all servers of this user


def files_in(folder: Path) -> list[str]:
    """The names of what is in a folder for temporary files, but for what is meant to stay."""
    return [path.name for path in folder.iterdir() if not path.name.startswith(STAYS)]


def semaphores_of(names: Iterable[str]) -> list[str]:
    """The semaphores that bear the name of one of these folders."""
    names = list(names)
    return [path.name for path in Path("/dev/shm").iterdir() if any(name in path.name for name in names)]
