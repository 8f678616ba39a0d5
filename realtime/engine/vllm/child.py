"""Child processes: each starts out of reach of Ctrl-C and bound to its parent, and all are ended together."""

from __future__ import annotations

import ctypes
import multiprocessing
import multiprocessing.forkserver
import os
import signal

_PR_SET_PDEATHSIG = 1


def leave_terminal() -> None:
    """Leave the terminal's process group, and so its Ctrl-C: the server gets that, drains, and ends its children
    itself.

    Until this process has its own group, the parent's signal mask holds SIGINT back (see `launch`).
    """
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def end_with_parent() -> None:
    """Have the kernel kill this process when the parent's thread that started it ends, however it ends.

    Source: prctl(2), PR_SET_PDEATHSIG. A fork does not inherit it.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def kill_children() -> None:
    """End EngineCore and the fork server. They would follow this process by themselves, but only after they have
    finished an import.
    """
    for child in multiprocessing.active_children():
        child.kill()
    fork_server: int | None = getattr(multiprocessing.forkserver._forkserver, "_forkserver_pid", None)
    if fork_server is not None:
        os.kill(fork_server, signal.SIGKILL)
