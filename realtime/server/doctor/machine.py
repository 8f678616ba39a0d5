"""The machine: processor, memory that processes share, open files, room on disks, GPUs."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from realtime.settings.fields import GIB, MIB, Settings

from .finding import Finding, Level

_FILES_BESIDE = 256  # open files of the engine and of everything but connections
_SHARED_BYTES = GIB  # of /dev/shm, for each process of an engine with several
_FREE_BYTES = 2 * GIB
_GPU_QUERY = ("nvidia-smi", "--query-gpu=name,driver_version,memory.total,memory.free", "--format=csv,noheader,nounits")
_SECONDS = 20.0


class Gpu(msgspec.Struct, frozen=True):
    """An NVIDIA GPU."""

    name: str
    driver: str
    total_bytes: int
    free_bytes: int


def look_at_machine(settings: Settings) -> Iterator[Finding]:
    """Check the machine, except for its GPUs."""
    yield _python()
    yield _processor(Path("/proc/cpuinfo"))
    yield open_files(resource.getrlimit(resource.RLIMIT_NOFILE), settings.connections.max_connections)
    processes = settings.vllm.tensor_parallel_size * settings.vllm.pipeline_parallel_size
    yield shared_memory(Path("/dev/shm"), processes)
    yield _room("cache of models", _cache_folder())
    yield _room("temporary folder", Path(os.environ.get("TMPDIR") or "/tmp"))


def _python() -> Finding:
    version = platform.python_version()
    if not (3, 11) <= sys.version_info[:2] < (3, 15):
        return Finding("python", "error", version, "Python 3.11 to 3.14 is needed: PYTHON=python3.12 make install")
    return Finding("python", "ok", f"{version} on {platform.system()} {platform.machine()}")


def _processor(file: Path) -> Finding:
    cores = len(os.sched_getaffinity(0))
    try:
        flags = next((line for line in file.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    except OSError:
        flags = ""
    wide = [name for name in ("avx512f", "avx512_bf16", "amx_bf16") if name in flags.split()]
    text = f"{cores} cores, {', '.join(wide) if wide else 'no AVX-512'}"
    if cores < 2:
        return Finding("processor", "warning", text, "one core is shared by the server and the engine: give it two")
    return Finding("processor", "ok" if wide else "note", text)


def open_files(limits: tuple[int, int], max_connections: int) -> Finding:
    """Compare the limits on open files (soft, hard) with the number of connections allowed."""
    soft, hard = limits
    wanted = max_connections + _FILES_BESIDE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return Finding("open files", "ok", f"{'no limit' if soft == resource.RLIM_INFINITY else soft}")
    level: Level = "error" if soft < _FILES_BESIDE else "warning"
    more = "" if hard == resource.RLIM_INFINITY or hard >= wanted else ", and raise the hard limit"
    advice = f"`ulimit -n {wanted}` (LimitNOFILE= in a unit of systemd){more}, or a smaller --max-connections"
    return Finding("open files", level, f"{soft} are allowed, max_connections is {max_connections}", advice)


def shared_memory(folder: Path, processes: int) -> Finding:
    """Check `/dev/shm`, through which the processes of one engine exchange tensors."""
    try:
        total = shutil.disk_usage(folder).total
    except OSError:
        return Finding("shared memory", "error", f"there is no {folder}", "the engine needs it: mount a tmpfs there")
    text = f"{folder} has {total / GIB:.1f} GiB"
    wanted = processes * _SHARED_BYTES if processes > 1 else 64 * MIB
    if total < wanted:
        advice = f"in a container `--shm-size {max(wanted // GIB, 1)}g`; on Kubernetes an emptyDir in memory"
        return Finding("shared memory", "error" if processes > 1 else "warning", text, advice)
    return Finding("shared memory", "ok", text)


def _cache_folder() -> Path:
    """Return the folder in which models of the hub are kept, by the rules in huggingface_hub's documentation."""
    environ = os.environ
    if given := environ.get("HF_HUB_CACHE"):
        return Path(given)
    home = environ.get("HF_HOME") or os.path.join(
        environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "huggingface"
    )
    return Path(home) / "hub"


def _room(name: str, folder: Path) -> Finding:
    """Check the free space of a folder that exists, or may be created."""
    there = next(one for one in (folder.absolute(), *folder.absolute().parents) if one.exists())
    if not os.access(there, os.W_OK):
        return Finding(name, "error", f"{folder} can't be written by this user", "give it a folder that it can write")
    free = shutil.disk_usage(there).free
    text = f"{free / GIB:.1f} GiB are free in {folder}"
    if free < _FREE_BYTES:
        return Finding(name, "warning", text, "models and compiled code go there: make room")
    return Finding(name, "ok", text)


def find_gpus() -> list[Gpu]:
    """Return NVIDIA's GPUs, as their driver lists them."""
    if shutil.which(_GPU_QUERY[0]) is None:
        return []
    try:
        done = subprocess.run(_GPU_QUERY, capture_output=True, text=True, timeout=_SECONDS, check=True)
        rows = [line.split(", ") for line in done.stdout.splitlines() if line]
        return [Gpu(name, driver, int(total) * MIB, int(free) * MIB) for name, driver, total, free in rows]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
