"""nginx, HAProxy and Caddy as processes, as `deploy/proxies` configures them but for names, ports and limits."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ipaddress
import os
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.patience import SECONDS
from tests.support.ports import free_port
from tests.support.programs import find_program

FOLDER = Path(__file__).parents[2] / "deploy" / "proxies"
NAMES = ("nginx", "haproxy", "caddy")
HOST = "127.0.0.1"


class Proxy:
    """One that listens. `tls`: trusts its certificate."""

    def __init__(self, port: int, tls: ssl.SSLContext) -> None:
        self.authority = f"{HOST}:{port}"
        self.url = f"wss://{self.authority}/v1/responses"
        self.http = f"https://{self.authority}"
        self.tls = tls


@contextlib.asynccontextmanager
async def proxy(
    name: str, folder: Path, upstreams: Sequence[int], limits: Mapping[str, str] = {}
) -> AsyncIterator[Proxy]:
    """Run it before servers on these ports. limits: texts of the configuration to what takes their place."""
    program = find_program(name, name)
    certificate = _certificate(folder)
    port = free_port()
    file = FOLDER / {"nginx": "nginx.conf", "haproxy": "haproxy.cfg", "caddy": "Caddyfile"}[name]
    text = file.read_text()
    for old, new in limits.items():
        assert old in text, old
        text = text.replace(old, new)
    arguments = _ARRANGED[name](text, folder, certificate, port, upstreams)
    log = (folder / "proxy.log").open("wb")
    process = await asyncio.create_subprocess_exec(
        program, *arguments, cwd=folder, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)}
    )
    try:
        assert await _listens(port, process), (folder / "proxy.log").read_text()
        yield Proxy(port, ssl.create_default_context(cafile=str(certificate)))
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        log.close()


def _nginx(text: str, folder: Path, certificate: Path, port: int, upstreams: Sequence[int]) -> list[str]:
    text = re.sub(r"ssl_certificate(_key)? .*;", rf"ssl_certificate\1 {certificate};", text)
    text = text.replace("listen 443 ssl", f"listen {HOST}:{port} ssl")
    text = re.sub(r"# server .*\n", "", text)
    text = text.replace("server 127.0.0.1:8000;", " ".join(f"server {HOST}:{one};" for one in upstreams))
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""
    (folder / "site.conf").write_text(text)
    (folder / "main.conf").write_text(
        f"{user}daemon off;\npid {folder}/pid;\nworker_processes 1;\nevents {{ worker_connections 256; }}\n"
        f"http {{\naccess_log off;\n{temporary}include {folder}/site.conf;\n}}\n"
    )
    return ["-p", str(folder), "-e", "stderr", "-c", str(folder / "main.conf")]


def _haproxy(text: str, folder: Path, certificate: Path, port: int, upstreams: Sequence[int]) -> list[str]:
    text = text.replace(
        "bind :443 ssl crt /etc/haproxy/chat.example.com.pem", f"bind {HOST}:{port} ssl crt {certificate}"
    )
    servers = "".join(f"    server s{one} {HOST}:{one}\n" for one in upstreams)
    text = text.replace("maxconn 20000", "maxconn 200")
    text = re.sub(r"    server one .*\n    # server two .*\n", servers, text)
    (folder / "haproxy.cfg").write_text(text)
    return ["-db", "-f", str(folder / "haproxy.cfg")]


def _caddy(text: str, folder: Path, certificate: Path, port: int, upstreams: Sequence[int]) -> list[str]:
    text = text.replace(
        "chat.example.com {", f"https://{HOST}:{port} {{\n\ttls {certificate} {certificate}\n\tbind {HOST}"
    )
    text = text.replace(
        "reverse_proxy 127.0.0.1:8000", "reverse_proxy " + " ".join(f"{HOST}:{one}" for one in upstreams)
    )
    options = f"{{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system {folder}\n}}\n"
    (folder / "Caddyfile").write_text(options + text)
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


_ARRANGED = {"nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy}


async def _listens(port: int, process: asyncio.subprocess.Process) -> bool:
    """Wait until it listens. False: it has ended."""
    async with asyncio.timeout(SECONDS):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return True
    return False


def _certificate(folder: Path) -> Path:
    """Make a certificate for this address, in one file with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    return path
