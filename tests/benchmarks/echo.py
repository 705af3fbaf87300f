"""The baselines of round trips and signatures: a bare asyncio echo over the same transports, and bare ES256."""

import asyncio
import contextlib
import hashlib
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from tests.posix import open_unix_connection
from vitale_protocol import tokens
from vitale_protocol.errors import DaemonUntrusted
from vitale_protocol.records import Assure, Beneficiaire, Proof, Record
from vitale_reader.atomic_files import write_atomically
from vitale_reader.cli.frame.language import t
from vitale_reader.client.pairing import Pairing
from vitale_reader.home import Endpoints

__all__ = ["round_trips", "signatures"]

M = TypeVar("M")
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

#: Run as a process of its own, as the daemon is; line in, line out, over a Unix socket and over TLS 1.3.
ECHO = """
import asyncio, json, ssl, sys

class Echo(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(data)

async def main(folder):
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_cert_chain(folder + "/echo.pem")
    await loop.create_unix_server(Echo, folder + "/echo")
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main(sys.argv[1]))
"""

OPEN = b'{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"protocol":[1],"client":{"name":"bench"}}}\n'
PING = b'{"jsonrpc":"2.0","id":2,"method":"session.ping","params":{}}\n'
SIGNATURES = 2_000


async def round_trips(
    endpoints: Endpoints, pairing: Pairing, count: int, rounds: int
) -> list[tuple[str, list[float], list[float]]]:
    """For unix and tls: its name, the seconds of each echo, the seconds of each ``session.ping``; taken in turns."""
    found: list[tuple[str, list[float], list[float]]] = [("unix", [], []), ("tls", [], [])]
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vitale-bench-")))
        certificate = folder / "echo.pem"
        write_atomically(certificate, f"{pairing.certificate}{pairing.private_key}".encode())
        port = await stack.enter_async_context(_echo(folder))
        context = _context(certificate)
        pairs = [(await stack.enter_async_context(_unix(str(folder / "echo"))), await _opened(stack, endpoints.unix))]
        if tls := endpoints.tls:
            echo = await stack.enter_async_context(_tls("127.0.0.1", port, context, None))
            ours = await stack.enter_async_context(_tls(tls.host, tls.port, context, tls.sha256))
            await _trip(ours, OPEN)
            pairs.append((echo, ours))
        for _ in range(rounds):
            for (_, bare, daemon), (first, second) in zip(found, pairs, strict=False):
                bare += [await _trip(first, PING) for _ in range(count)]
                daemon += [await _trip(second, PING) for _ in range(count)]
    return found


async def _opened(stack: contextlib.AsyncExitStack, path: str | None) -> Streams:
    streams = await stack.enter_async_context(_unix(path or ""))
    await _trip(streams, OPEN)
    return streams


@asynccontextmanager
async def _echo(folder: Path) -> AsyncGenerator[int]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", ECHO, str(folder), stdout=subprocess.PIPE)
    try:
        yield int(await process.stdout.readline() if process.stdout else b"0")
    finally:
        process.terminate()
        await process.wait()


def signatures(make: Callable[..., M]) -> M:
    """A line on tokens signed in a second, beside as many bare ES256 signatures of as many bytes."""
    key = ec.generate_private_key(ec.SECP256R1())
    claims = tokens.Claims(
        ver=1,
        iss="urn:vitale-reader:bench",
        aud="bench",
        iat=0,
        exp=120,
        jti="bench",
        nonce="n" * 22,
        presented_at=0.0,
        medium="vitale-card",
        proof=Proof(method="card-clear-read", verified=False, freshness="none"),
        origin="simulated",
        reader=tokens.ReaderClaim(id="bench", driver="bench"),
        scopes=("identity",),
        record=Record(assure=Assure(), beneficiaires=(Beneficiaire(nom_usuel="EXEMPLE", prenom="CLAIRE"),), porteur=0),
        evidence=tokens.Evidence(sha256="0" * 64),
    )
    message = tokens.sign(claims, key, "bench").rpartition(".")[0].encode()
    bare_key = ec.generate_private_key(ec.SECP256R1())
    algorithm = ec.ECDSA(hashes.SHA256())

    def rate(work: Callable[[], object]) -> float:
        before = time.perf_counter()
        for _ in range(SIGNATURES):
            work()
        return SIGNATURES / (time.perf_counter() - before)

    bare: list[float] = []
    ours: list[float] = []
    for _ in range(3):
        bare.append(rate(lambda: bare_key.sign(message, algorithm)))
        ours.append(rate(lambda: tokens.sign(claims, key, "bench")))
    return make(
        name=t("jetons signés par seconde", "tokens signed a second"),
        unit="/s",
        baseline=t("ES256 nu", "bare ES256"),
        baseline_p50=sorted(bare)[1],
        ours="tokens.sign",
        p50=sorted(ours)[1],
    )


def _context(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # pinned below, where it is not our own echo
    context.load_cert_chain(certificate)
    return context


@asynccontextmanager
async def _unix(path: str) -> AsyncGenerator[Streams]:
    reader, writer = await open_unix_connection(path)
    try:
        yield reader, writer
    finally:
        writer.close()


@asynccontextmanager
async def _tls(host: str, port: int, context: ssl.SSLContext, sha256: str | None) -> AsyncGenerator[Streams]:
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        shown: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        if sha256 is not None and hashlib.sha256(shown).hexdigest() != sha256:
            raise DaemonUntrusted("another certificate than the daemon's")
        yield reader, writer
    finally:
        writer.close()


async def _trip(streams: Streams, line: bytes) -> float:
    reader, writer = streams
    before = time.perf_counter()
    writer.write(line)
    await reader.readline()
    return time.perf_counter() - before
