"""`realtime store ...`: maintenance of the store's file by a person, and the messages about it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from realtime.store.sqlite import maintenance
from realtime.store.sqlite.salvage import salvage
from realtime.store.sqlite.schema import CannotOpen


def show_info(path: Path) -> int:
    """Print facts about the file."""
    info = maintenance.info(path)
    oldest = "-" if info.oldest_begun_at is None else time.strftime("%Y-%m-%d", time.gmtime(info.oldest_begun_at / 1e9))
    for name, value in [
        ("file", path),
        ("schema", info.version),
        ("bytes", info.num_bytes),
        ("bytes of responses", info.content_bytes),
        ("responses", info.num_finished),
        ("responses that run", info.num_running),
        ("oldest response", oldest),
        ("conversations", info.num_conversations),
        ("tenants", info.num_tenants),
    ]:
        print(f"{name}\t{value}")
    return 0


def check(path: Path, save_to: Path | None) -> int:
    """Print what can't be read, and save the rest if a file is given for it. Return the exit status: 1 if anything
    can't be read.
    """
    try:
        found = maintenance.problems(path)
    except CannotOpen as error:
        found = [str(error)]
    for problem in found:
        print(problem)
    if save_to is not None:
        saved = salvage(path, save_to)
        print(f"saved {saved.num_responses} of {saved.num_seen} responses in {save_to}", file=sys.stderr)
        print(f"saved {saved.num_conversations} conversations", file=sys.stderr)
    elif found:
        print("--save FILE writes what can be read into a new file", file=sys.stderr)
    else:
        print("ok")
    return 1 if found else 0


def backup(path: Path, to: Path) -> int:
    """Copy the file."""
    maintenance.backup(path, to)
    key = path.with_name(path.name + "-key")
    print(f"copied {path} to {to}", file=sys.stderr)
    if key.exists():
        print(f"copy {key} as well: clients hold content that only this key opens", file=sys.stderr)
    return 0


def vacuum(path: Path) -> int:
    """Return free space to the disk."""
    maintenance.vacuum(path)
    print(f"{path} has {path.stat().st_size} bytes now", file=sys.stderr)
    return 0


def delete(path: Path, tenant: str) -> int:
    """Delete all of a tenant's data."""
    num_responses, num_conversations = maintenance.delete_tenant(path, tenant)
    print(f"deleted {num_responses} responses and {num_conversations} conversations of {tenant}", file=sys.stderr)
    return 0
