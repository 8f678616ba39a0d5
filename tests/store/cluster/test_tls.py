"""Redis and PostgreSQL that speak TLS, with a certificate of one's own authority."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.databases import NotInstalled, ready, start, stop
from realtime.store.cluster.backend import Away, Changes
from realtime.store.cluster.stores import make_backend
from tests.support.ports import free_port
from tests.support.tls import authority

URLS = {
    "redis": "rediss://{host}:{port}/0{more}",
    "postgres": "postgresql://postgres@{host}:{port}/postgres?sslmode=verify-full{more}",
}
TRUST = {"redis": "?ssl_ca_certs={folder}/ca.pem", "postgres": "&sslrootcert={folder}/ca.pem"}


class Secured:
    """A server of a kind."""

    def __init__(self, kind: str, folder: Path, port: int) -> None:
        self._kind, self._folder, self._port = kind, folder, port

    def url(self, host: str = "localhost", authority: str = "ca") -> str:
        """Return its URL for who trusts an authority."""
        more = TRUST[self._kind].format(folder=self._folder).replace("ca.pem", f"{authority}.pem")
        return URLS[self._kind].format(host=host, port=self._port, more=more)


@pytest.fixture(params=["redis", "postgres"])
def secured(request: pytest.FixtureRequest) -> Iterator[Secured]:
    kind = request.param
    with tempfile.TemporaryDirectory(prefix="realtime-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        authority(folder)
        (folder / "another").mkdir()
        authority(folder / "another")
        (folder / "another" / "ca.pem").rename(folder / "another.pem")
        port = free_port()
        cert, key, ca = (str(folder / one) for one in ("server.pem", "key.pem", "ca.pem"))
        flags = {
            "redis": (
                "--port", "0", "--tls-port", str(port), "--tls-cert-file", cert, "--tls-key-file", key,
                "--tls-ca-cert-file", ca, "--tls-auth-clients", "no",
            ),
            "postgres": ("-c", "ssl=on", "-c", f"ssl_cert_file={cert}", "-c", f"ssl_key_file={key}"),
        }[kind]  # fmt: skip
        try:
            process, _ = start(kind, folder, port=port, flags=flags)
        except NotInstalled as error:
            if os.environ.get("TESTS_NEED_STORES") == "1":
                raise
            pytest.skip(f"{error}: TLS to it was not tested")
        try:
            yield Secured(kind, folder, port)
        finally:
            stop(process)


async def test_a_store_whose_certificate_is_trusted_is_used_and_another_is_not(secured: Secured) -> None:
    await ready(make_backend(secured.url()))
    backend = make_backend(secured.url())
    await backend.open()
    lease = await backend.acquire("a", 60, b"")
    assert lease is not None
    await backend.commit(Changes(fence=lease, number=1, sets={b"record/1": b"x"}))
    assert list(await backend.get([b"record/1"])) == [b"x"]
    await backend.close()
    for wrong in (secured.url("127.0.0.1"), secured.url(authority="another")):
        refused = make_backend(wrong)
        with pytest.raises(Away, match="its certificate is not accepted"):
            await refused.open()
        await refused.close()
