"""The certificates of a service: trusted or refused alike on every Python, and told for what they lack."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.resolvers.authorities import NOW, WHOLE, certificates
from vitale_protocol.errors import ResolverUnavailable
from vitale_reader.daemon.keystore.certificate_authority import make_authority

PATIENCE = 40.0


def probe(soap: Any, folder: Path, ca_file: Path, *, reading: bool = False) -> str:
    """The host that answered a resolver with this authority; a reading asks it instead of a probe, and fails."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def work() -> str:
        async with asyncio.timeout(PATIENCE), await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            port = server.sockets[0].getsockname()[1]
            async with soap.open(f"https://localhost:{port}/apcv", ca_file=str(ca_file)) as resolver:
                if reading:
                    await resolver.resolve(b"VITALESIM.ESSAI", nonce="n" * 22)
                return str(await resolver.probe())

    return asyncio.run(work())


def test_certificates_by_the_standard_are_trusted(soap: Any, tmp_path: Path) -> None:
    certificates(tmp_path, left_out="")
    assert "localhost" == probe(soap, tmp_path, tmp_path / "ca.pem")


@pytest.mark.parametrize("reading", [True, False])
@pytest.mark.parametrize("left_out", WHOLE)
def test_what_breaks_the_standard_is_told_as_that(left_out: str, reading: bool, soap: Any, tmp_path: Path) -> None:
    certificates(tmp_path, left_out=left_out)
    with pytest.raises(ResolverUnavailable) as raised:
        probe(soap, tmp_path, tmp_path / "ca.pem", reading=reading)
    assert ("certificate", {"sent": False}) == (raised.value.variant, raised.value.data)


@pytest.mark.parametrize("reading", [True, False])
def test_another_authority_is_none_that_breaks_the_standard(reading: bool, soap: Any, tmp_path: Path) -> None:
    certificates(tmp_path, left_out="")
    (tmp_path / "other.pem").write_text(make_authority("another", now=NOW).certificate)
    with pytest.raises(ResolverUnavailable) as raised:
        probe(soap, tmp_path, tmp_path / "other.pem", reading=reading)
    assert "tls" == raised.value.variant
