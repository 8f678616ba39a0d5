"""A count of the Python calls and bytecodes of `realtime/`, without its engines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_COUNTED = str(Path(__file__).parents[2] / "realtime") + "/"
_ENGINE = _COUNTED + "engine/"  # a scripted one: what real ones cost is another matter


class Count:
    """Of what has run: Python functions called or resumed, and bytecodes."""

    def __init__(self) -> None:
        self.calls = 0
        self.bytecodes = 0


@contextmanager
def counting() -> Iterator[Count]:
    """Count what runs inside."""
    if sys.version_info >= (3, 12):
        with _monitored() as count:
            yield count
    else:
        with _traced() as count:
            yield count


@contextmanager
def _traced() -> Iterator[Count]:
    count = Count()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        if not _is_counted(frame.f_code):
            return None
        count.calls += 1
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return inside

    def inside(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            count.bytecodes += 1
        return inside

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield count
    finally:
        sys.settrace(before)


@contextmanager
def _monitored() -> Iterator[Count]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    count, tool, events = Count(), 4, monitoring.events

    def on_call(code: CodeType, offset: int) -> Any:
        if not _is_counted(code):
            return monitoring.DISABLE
        count.calls += 1
        return None

    def on_bytecode(code: CodeType, offset: int) -> Any:
        if not _is_counted(code):
            return monitoring.DISABLE
        count.bytecodes += 1
        return None

    monitoring.use_tool_id(tool, "cost")
    try:
        monitoring.register_callback(tool, events.PY_START, on_call)
        monitoring.register_callback(tool, events.PY_RESUME, on_call)
        monitoring.register_callback(tool, events.INSTRUCTION, on_bytecode)
        monitoring.set_events(tool, events.PY_START | events.PY_RESUME | events.INSTRUCTION)
        yield count
    finally:
        monitoring.set_events(tool, 0)
        monitoring.free_tool_id(tool)


def _is_counted(code: CodeType) -> bool:
    return code.co_filename.startswith(_COUNTED) and not code.co_filename.startswith(_ENGINE)
