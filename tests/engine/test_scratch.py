"""What engines have outside of their processes, and that what a dead process has left is removed, and nothing else."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.engine.vllm import scratch

MAKES_ONE = (
    "from realtime.engine.vllm import scratch; import os, sys; print(scratch.Scratch().folder.parent, flush=True)"
)


@pytest.fixture
def parent() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def process(parent: Path, then: str) -> tuple[subprocess.Popen[str], Path]:
    """A process that has made a folder there; returns it with the folder."""
    child = subprocess.Popen(
        [sys.executable, "-c", f"{MAKES_ONE}; {then}"],
        env={**os.environ, "TMPDIR": str(parent), "XDG_RUNTIME_DIR": "", "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert child.stdout is not None
    return child, Path(child.stdout.readline().strip())


def test_a_dead_process_s_folder_and_semaphores_go_and_a_living_one_s_stay(parent: Path) -> None:
    dead, dead_folder = process(parent, "os._exit(1)")
    dead.communicate()
    living, living_folder = process(parent, "sys.stdin.read()")
    assert not dead_folder.exists(), "the next one to start removes it"
    dead, dead_folder = process(parent, "os._exit(1)")
    dead.communicate()
    semaphore = Path("/dev/shm", f"sem.{dead_folder.name}-1-abcdefgh")
    semaphore.touch()
    foreign = parent / "realtime-of-somebody-else"
    foreign.mkdir()
    scratch.remove_dead(parent)
    assert not dead_folder.exists()
    assert not semaphore.exists()
    assert foreign.exists(), "without a lock it is none of ours"
    assert living_folder.exists()
    living.communicate()
    assert not living_folder.exists(), "who ends in peace cleans up"


def test_a_link_is_not_followed(parent: Path) -> None:
    precious = parent / "precious"
    precious.mkdir()
    (precious / "lock").touch()
    (parent / "realtime-link").symlink_to(precious)
    scratch.remove_dead(parent)
    assert (precious / "lock").exists()


def test_a_folder_has_its_lock_before_others_may_look(parent: Path) -> None:
    folder = scratch._make(parent)
    try:
        with (folder / "lock").open() as file, pytest.raises(OSError):  # noqa: PT011
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert [path.name for path in folder.iterdir()] == ["lock"]
    finally:
        os.close(scratch._locks.pop())


def test_semaphores_of_an_engine_are_named_after_it_and_removed_with_it() -> None:
    one = scratch.Scratch()
    spawn = multiprocessing.get_context("spawn")
    child = spawn.Process(target=leave_a_semaphore, args=(one.semaphores,))
    child.start()
    child.join()
    assert one.exists
    (left,) = Path("/dev/shm").glob(f"sem.{one.semaphores[1:]}-*")
    one.remove()
    assert not left.exists()
    assert not one.exists


def leave_a_semaphore(beginning: str) -> None:
    """As EngineCore, then a death in the middle."""
    scratch.name_semaphores(beginning)
    lock = multiprocessing.get_context("spawn").Lock()
    os._exit(1 if lock else 0)


def test_a_folder_with_a_long_name_is_not_taken(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = parent / ("x" * 60)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    assert scratch._parent() == Path("/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(parent))
    assert scratch._parent() == parent
