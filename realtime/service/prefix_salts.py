"""Salts of the engine's prefix cache: they decide whose prompts a request may match there. Pure.

A match is reported in `usage` and shortens the time to the first token. So tenants that share the cache can find out
from each other, block by block, what was sent.
"""

from __future__ import annotations

import hmac


class PrefixSalts:
    """Makes the salts that keep tenants apart: requests share the cache only with requests of the same salt."""

    def __init__(self, secret: bytes) -> None:
        """secret: without it nobody can tell another tenant's salt."""
        self._secret = secret

    def salt(self, tenant: str, own: str | None) -> str:
        """Return the salt of a tenant's request. `own`: the client's, which parts the tenant's requests further, behind
        a dot; what is before it is the tenant's alone.
        """
        salt = self._digest(tenant)
        return salt if own is None else f"{salt}.{self._digest(f'{len(tenant)}:{tenant}:{own}')}"

    def _digest(self, text: str) -> str:
        return hmac.digest(self._secret, text.encode("utf-8", "surrogatepass"), "sha256").hex()
