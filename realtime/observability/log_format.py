"""The forms of the log: lines for people, or one JSON object a line for machines."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import msgspec

TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


class JsonFormatter(logging.Formatter):
    """One JSON object per line: `time`, `level`, `logger`, `message`, then the line's members, and last `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        members = getattr(record, "members", None)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": getattr(record, "text", None) if members is not None else record.getMessage(),
        }
        if members is not None:
            line |= {name: value for name, value in members.items() if name not in line}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode()


def formatter(log_format: str) -> logging.Formatter:
    """Return the formatter of this form: `text` or `json`."""
    return JsonFormatter() if log_format == "json" else logging.Formatter(TEXT)
