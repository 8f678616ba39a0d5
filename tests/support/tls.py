"""Certificates for localhost that only who is told trusts."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_OURS = "our own"  # name of the authority
_Key = ec.EllipticCurvePrivateKey


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """For a server at localhost, and for a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate("localhost", key, "localhost", key)
    (folder / "both.pem").write_bytes(_private(key) + certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=certificate.decode())


def authority(folder: Path, host: str = "localhost") -> None:
    """Make an authority of one's own, `ca.pem`, and what it certifies for a host: `server.pem` and `key.pem`."""
    key, its = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    (folder / "ca.pem").write_bytes(_certificate(_OURS, its, _OURS, its))
    (folder / "server.pem").write_bytes(_certificate(host, key, _OURS, its))
    (folder / "key.pem").write_bytes(_private(key))
    (folder / "key.pem").chmod(0o600)


def _certificate(subject: str, key: _Key, issuer: str, its: _Key) -> bytes:
    now = datetime.now(UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in (subject, issuer)]
    builder = (
        x509.CertificateBuilder(names[1], names[0], key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(its.public_key()), critical=False)
    )
    if subject != _OURS:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    else:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(its, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _private(key: _Key) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
