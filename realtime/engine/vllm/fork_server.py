"""Imported by the fork server before anything else (see `launch`): the import changes the process."""

from __future__ import annotations

import logging

from .child import end_with_parent, leave_terminal

leave_terminal()
end_with_parent()
logging.getLogger("torch._library.triton").setLevel(logging.ERROR)  # it warns that there is no Triton, as on CPUs
