"""How a process that we start begins, out of reach of Ctrl-C and bound to its parent; and how all are ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.forkserver
import os
import signal

_PR_SET_PDEATHSIG = 1


def leave_terminal() -> None:
    """Get no Ctrl-C: the server gets it, drains, and ends its children itself.

    A group of its own does it. Until there is one, the parent's mask holds SIGINT back (see `launch`).
    """
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """Be killed by the kernel when the parent's thread that has started this process ends, however it does.

    Source: prctl(2), PR_SET_PDEATHSIG. A fork does not inherit it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_children() -> None:
    """End EngineCore and the fork server. They would follow this process by themselves, but an import comes first."""
    for child in multiprocessing.active_children():
        child.kill()
    fork_server: int | None = getattr(multiprocessing.forkserver._forkserver, "_forkserver_pid", None)
    if fork_server is not None:
        os.kill(fork_server, signal.SIGKILL)
