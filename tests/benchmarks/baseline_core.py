"""The baseline of the core's memory and start: the libraries that it is made of, at work, with nothing of ours.

``baseline_core.py FOLDER`` opens a SQLite file by SQLAlchemy, makes a certificate where there is none, listens for TLS
and on a Unix socket, and signs and seals once. Then it says so in a line, and serves until it is ended.
"""

import asyncio
import datetime as dt
import gc
import ssl
import sys
from pathlib import Path

import click
import msgspec
import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

__all__ = ["main"]

NAME = "bare"


def keep(file: Path) -> None:
    """Makes a table, writes a row and reads it."""
    tables = sa.MetaData()
    rows = sa.Table("rows", tables, sa.Column("id", sa.Integer, primary_key=True), sa.Column("data", sa.LargeBinary))
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        tables.create_all(connection)
        connection.execute(sa.insert(rows), {"data": AESGCM(bytes(32)).encrypt(bytes(12), b"row", None)})
        connection.execute(sa.select(rows)).all()


def certify(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Makes a certificate, with its key in the same file."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    begins = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    ends = begins + dt.timedelta(days=3650)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends).sign(key, hashes.SHA256())
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(secret + made.public_bytes(Encoding.PEM))


async def serve(folder: Path) -> None:
    """Listens, says so, and waits for its end."""
    await asyncio.to_thread(keep, folder / "bare.db")
    key = ec.generate_private_key(ec.SECP256R1())
    key.sign(b"token", ec.ECDSA(hashes.SHA256()))
    if not (certificate := folder / "bare.pem").exists():
        certify(certificate, key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    async with (
        await loop.create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=context) as server,
        await loop.create_unix_server(asyncio.Protocol, folder / "bare.sock"),
    ):
        gc.enable()
        click.echo(msgspec.json.encode([NAME]))
        await server.serve_forever()


def main(folder: str) -> None:
    """Serves in a folder."""
    asyncio.run(serve(Path(folder)))


if __name__ == "__main__":
    gc.disable()  # as the core does while it starts
    main(sys.argv[1])
