"""Keep credentials out of the log, whoever writes it: our modules, uvicorn, or a traceback.

`process` puts a `ScrubbingFormatter` around the formatter of every handler before anything is logged.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

_SECRETS = re.compile(
    r"""(?P<lead>openai-insecure-api-key\.|realtime-ticket\.
       |\bbearer\s+|\bbasic\s+
       |\bapi[-_]key['"]?\s*[:=,]\s*b?['"]?
       |[?&;](?:api[-_]?key|key|(?:access[-_]|id[-_])?token|auth(?:orization)?|secret|password)=
       )[^\s&;,'"<>)\]]+
     |\b(?:rt|sk|ek)[_-][A-Za-z0-9_-]{16,}
     |\btk_[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]*)?""",
    re.IGNORECASE | re.VERBOSE,
)


def scrub(text: str) -> str:
    """Replace everything that is, or may be, a credential: in headers, queries and sub-protocols."""
    return _SECRETS.sub(lambda match: (match["lead"] or "") + "***", text)


class ScrubbingFormatter(logging.Formatter):
    """A formatter that scrubs the output of another one. At this place arguments and tracebacks are covered as well."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        return scrub(self._inner.format(record))


def scrub_handlers(handlers: Iterable[logging.Handler]) -> None:
    """Make handlers write scrubbed text only. Safe to call again."""
    for handler in handlers:
        if not isinstance(handler.formatter, ScrubbingFormatter):
            handler.setFormatter(ScrubbingFormatter(handler.formatter or logging.Formatter()))
