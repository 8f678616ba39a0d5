"""The files of the chat page: read once, compressed once, named by their contents.

All of them but `index.html` are in one folder whose name is a hash of everything, so that a browser may keep them for
ever, and a page never mixes the modules of two versions. Only files that were read at the start can be requested; no
request becomes a path on the disk.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec

_SITE = Path(__file__).parent / "site"
_PACKAGED_CLIENT = Path(__file__).parent / "client"  # in a wheel, where pyproject.toml puts clients/js
_CLIENT = Path(__file__).parents[3] / "clients" / "js"  # in the repository: the one source
_CLIENT_ENTRY = "realtime-client.mjs"

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_STATIC_IMPORT = re.compile(r'^\s*(?:import|export)\b[^;"]*?"(\.{1,2}/[^"]+)";', re.MULTILINE)
_BLOCK = r"/\*\*(?:(?!\*/).)*\*/"
_LINES = rf"^[ \t]*(?:{_BLOCK}|//[^\n]*)[ \t]*\n"  # comments that have lines to themselves
_COMMENT = re.compile(rf"{_LINES}|/\*\* @(?:(?!\*/)[^\n])*\*/ ?", re.MULTILINE | re.DOTALL)
_MARK_FOLDER, _MARK_PRELOAD = b"{{folder}}", b"<!-- preload -->"


class File(msgspec.Struct, frozen=True):
    """One file as it is sent."""

    data: bytes
    zipped: bytes
    media_type: str
    etag: str

    @classmethod
    def of(cls, name: str, data: bytes) -> File:
        """Return a file with the content type of this name."""
        zipped = gzip.compress(data, 9, mtime=0)
        return cls(data, zipped, _TYPES[PurePosixPath(name).suffix], f'"{_digest(data)}"')


class Page(msgspec.Struct, frozen=True):
    """All files: the document, and by name the files that it loads. `version`: the folder of these."""

    document: File
    files: Mapping[str, File]
    version: str


def read_page() -> Page:
    """Read everything from the disk. Raises OSError for an incomplete installation."""
    sources = {name: served(name, data) for name, data in sorted(_sources())}
    modules = needed_modules(sources, "main.mjs")
    for name in [name for name in sources if name.startswith("client/") and name not in modules]:
        del sources[name]  # what the client has for other programs
    document = sources.pop("index.html")
    version = _digest(b"\0".join(part for name, data in sources.items() for part in (name.encode(), data)))
    preload = "\n".join(f'    <link rel="modulepreload" href="page/{version}/{name}">' for name in modules)
    document = document.replace(_MARK_PRELOAD, preload.encode()).replace(_MARK_FOLDER, f"page/{version}".encode())
    files = {name: File.of(name, data) for name, data in sources.items()}
    return Page(File.of("index.html", document), files, version)


def served(name: str, data: bytes) -> bytes:
    """Return a file as a browser gets it: our own modules without comments, which is a quarter of what it
    would load.
    """
    if not name.endswith(".mjs") or name.startswith("vendor/"):
        return data
    return _COMMENT.sub("", data.decode()).encode()


def needed_modules(sources: Mapping[str, bytes], name: str) -> list[str]:
    """Return the module and everything that it imports before it runs, without what it loads later."""
    found: dict[str, None] = {}
    waiting = [name]
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += [_resolve(name, target) for target in _STATIC_IMPORT.findall(sources[name].decode())]
    return list(found)


def _sources() -> Iterator[tuple[str, bytes]]:
    for path in _SITE.rglob("*"):
        if path.suffix in _TYPES:
            yield path.relative_to(_SITE).as_posix(), path.read_bytes()
    client = _PACKAGED_CLIENT if _PACKAGED_CLIENT.is_dir() else _CLIENT
    yield f"client/{_CLIENT_ENTRY}", (client / _CLIENT_ENTRY).read_bytes()
    for path in (client / "src").rglob("*.mjs"):
        yield f"client/{path.relative_to(client).as_posix()}", path.read_bytes()


def _resolve(module: str, target: str) -> str:
    parts: list[str] = list(PurePosixPath(module).parent.parts)
    for part in PurePosixPath(target).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
