"""Native hosts where no Unix socket listens: they come by a certificate of the day, that opens channels alone."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.benchmarks.native_host import host_page
from tests.daemon.web.pages import PATIENCE, SITE, Page
from vitale_protocol.web.extensions import CHROMIUM_ID
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.keystore.private_files import open_to_others
from vitale_reader.home import Endpoints

if TYPE_CHECKING:
    from tests.daemon.conftest import Tools

WITHOUT_UNIX = parse(
    '[station]\nmode = "simulated"\n[drivers]\nenabled = []\n[unix]\nenabled = false\n[tls]\nport = 0\n'
    "[web]\nenabled = true\nport = 0\n"
)
KEY = ec.derive_private_key(7, ec.SECP256R1())


def pem(file: str | None, folder: Path) -> Path:
    """The certificate and key of a pairing of the day, for TLS."""
    assert file is not None
    found = json.loads(Path(file).read_bytes())
    made = folder / f"{Path(file).stem}.pem"
    made.write_text(found["certificate"] + found["private_key"])
    return made


@asynccontextmanager
async def desk_of(tools: "Tools", endpoints: Endpoints, folder: Path) -> AsyncGenerator[Any]:
    assert endpoints.tls is not None
    async with tools.tls_line(endpoints.tls, pem(endpoints.owner, folder)) as desk:
        await desk.open()
        yield desk


@asynccontextmanager
async def channel_of(tools: "Tools", endpoints: Endpoints, folder: Path, **preamble: Any) -> AsyncGenerator[Page]:
    assert endpoints.tls is not None
    async with tools.tls_line(endpoints.tls, pem(endpoints.hosts, folder)) as line:
        page = Page(line.reader, line.writer, KEY)
        page.send_preamble(**preamble) if "raw" not in preamble else line.writer.write(preamble["raw"])
        yield page


async def pair(desk: Any, asking: Page) -> str:
    """Pairs a page, whose window is open; its client id."""
    revealed = await asking.ask(("identity",))
    await desk.result("pairing.wait")
    accepted = await desk.result("pairing.accept", {"code": asking.code, "scopes": ["identity"]})
    answer = await asking.answer(revealed)
    assert accepted["client_id"] == answer["result"]["client_id"]
    return str(accepted["client_id"])


def test_a_page_is_paired_and_speaks_by_a_native_host(tools: "Tools", tmp_path: Path) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with desk_of(tools, endpoints, tmp_path) as desk:
            await desk.result("pairing.open")
            async with host_page(tools.home, KEY, SITE) as asking:
                client_id = await pair(desk, asking)
            async with host_page(tools.home, KEY, SITE) as reading:
                assert client_id == (await reading.open())["client_id"]
                assert "time" in await reading.result("session.ping")
                # Both ways at once, in records of TLS that are cut anyhow.
                sent = [reading.send_call("session.ping", {}) for _ in range(5)]
                for request in sent:
                    assert "time" in (await reading.answer(request))["result"]
                await desk.result("clients.revoke", {"client_id": client_id})
                assert 4001 == await reading.closed_with()

    tools.run(work, WITHOUT_UNIX)


@pytest.mark.parametrize(
    "preamble",
    [
        {"via": "websocket"},
        {"via": "dashboard"},
        {"host": "a" * 32},
        {"peer_uid": 1},
        {"site": "https://a.example/"},
        {"raw": b'{"jsonrpc":"2.0","id":1,"method":"session.open","params":{"protocol":[1],"client":{"name":"x"}}}\n'},
        {"raw": b"\0\0\0\0"},
    ],
)
def test_the_pairing_of_hosts_opens_channels_and_nothing_else(
    tools: "Tools", tmp_path: Path, preamble: dict[str, Any]
) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with channel_of(tools, endpoints, tmp_path, **preamble) as page:
            async with asyncio.timeout(PATIENCE):
                assert b"" == await page.reader.read()

    tools.run(work, WITHOUT_UNIX)


def test_a_channel_is_a_page_and_gets_the_refusal(tools: "Tools", tmp_path: Path) -> None:
    async def work(endpoints: Endpoints) -> None:
        async with channel_of(tools, endpoints, tmp_path, host=CHROMIUM_ID) as page:
            answer = await page.call("clients.list")
            assert "not_authenticated" == answer["error"]["data"]["reason"]
            assert 1008 == await page.closed_with()

    tools.run(work, WITHOUT_UNIX)


def test_the_pairing_is_private_and_gone_with_the_daemon(tools: "Tools") -> None:
    seen = list[Path]()

    async def work(endpoints: Endpoints) -> None:
        assert endpoints.hosts is not None
        assert not tools.home.host_socket.exists()
        seen.append(Path(endpoints.hosts))
        assert (seen[0].parent, open_to_others(seen[0])) == (tools.home.state, False)

    tools.run(work, WITHOUT_UNIX)
    assert not seen[0].exists()


def test_each_start_makes_another_and_the_former_is_worth_nothing(tools: "Tools", tmp_path: Path) -> None:
    stolen = list[Path]()

    async def steal(endpoints: Endpoints) -> None:
        stolen.append(pem(endpoints.hosts, tmp_path))

    async def use(endpoints: Endpoints) -> None:
        assert endpoints.tls is not None
        async with tools.tls_line(endpoints.tls, stolen[0]) as line:
            opening = {"protocol": [1], "client": {"name": "thief", "version": "1"}}
            assert await line.reason("session.open", opening) == "not_authenticated"

    tools.run(steal, WITHOUT_UNIX)
    tools.run(use, WITHOUT_UNIX)


@pytest.mark.parametrize("settings", ["[unix]\nenabled = false\n", "[web]\nenabled = true\nport = 0\n"])
@pytest.mark.posix
def test_there_is_none_without_the_web_or_with_a_unix_socket(tools: "Tools", settings: str) -> None:
    async def work(endpoints: Endpoints) -> None:
        assert (endpoints.hosts, (tools.home.state / "hosts.pairing.json").exists()) == (None, False)

    tools.run(work, parse(f"[drivers]\nenabled = []\n[tls]\nport = 0\n{settings}"))
