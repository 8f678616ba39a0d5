"""One TLS context for all HTTP clients of a process."""

from __future__ import annotations

import functools
import os
import ssl

import httpcore2

_make = httpcore2.default_ssl_context


@functools.cache
def _made(trust_env: bool, file: str | None, folder: str | None) -> ssl.SSLContext:
    return _make(_trust_env=trust_env)


def _shared(*, _trust_env: bool = True) -> ssl.SSLContext:
    return _made(_trust_env, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


def share_contexts() -> None:
    """Have each new client of httpx2, and so of each SDK on it, take the context of those before.

    Else it reads all certificates that the system trusts, which takes 25 ms even if its server is without TLS: longer
    than most of the tests that use one, of which there are thousands.
    """
    httpcore2.default_ssl_context = _shared
