"""Short reasons why a server can't be reached, without credentials or contents."""

from __future__ import annotations

import os
import ssl


def reason_of(error: BaseException) -> str:
    """Return the root cause of a library's error, in words."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLCertVerificationError):
            return f"its certificate is not accepted: {at.verify_message}"
        if isinstance(at, ssl.SSLError):
            return f"TLS: {at.reason or 'it does not speak it'}"
        if isinstance(at, TimeoutError):
            return "it does not answer in time"
        if isinstance(at, OSError) and at.errno is not None and at.errno > 0:
            return os.strerror(at.errno)
        at = at.__cause__ or at.__context__
    return type(error).__name__
