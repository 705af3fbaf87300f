"""``vitale-reader web``: a person opens the window, ticks and types; pages are listed and revoked."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.web.idle import begin_no_gateway
from tests.daemon.web.pages import SITE, Page, page
from tests.protocol.web import independent
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.home import Home

pytestmark = pytest.mark.posix

CONFIG = (
    '[station]\nmode = "simulated"\n[drivers]\nenabled = []\n[tls]\nenabled = false\n[web]\nenabled = true\nport = 0\n'
)
PATIENCE = 60.0
LAUNCH = (sys.executable, "-m", "vitale_reader", "--language", "en", "web")


class Command:
    """A command of the command line, with a person's hands at it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said = ""

    async def until(self, words: str) -> None:
        """Reads standard error until it has said these words."""
        stream = self._process.stderr
        assert stream is not None
        async with asyncio.timeout(PATIENCE):
            while words not in self.said:
                data = await stream.read(4_096)
                assert data, f"it ended before {words!r}: {self.said}"
                self.said += data.decode()

    def types(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def ended(self) -> tuple[int, str]:
        """Exit status and standard output."""
        async with asyncio.timeout(PATIENCE):
            out, err = await self._process.communicate()
        self.said += err.decode()
        assert self._process.returncode is not None
        return self._process.returncode, out.decode()


@pytest.fixture
def at_the_desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[Any, Any], Awaitable[None]]], None]:
    """Runs a test beside a station whose web door is open; it gets a way to run commands, and one to open channels."""

    begin_no_gateway(monkeypatch)

    def run(work: Callable[[Any, Any], Awaitable[None]]) -> None:
        home = Home.under(tmp_path)

        async def command(*words: str) -> Command:
            process = await asyncio.create_subprocess_exec(
                *LAUNCH,
                *words,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**os.environ, "VITALE_READER_HOME": str(tmp_path), "NO_COLOR": "1"},
            )
            return Command(process)

        async def main() -> None:
            async with running(home, parse(CONFIG)):
                await work(command, lambda number=7: page(home.host_socket, independent.private(number)))

        asyncio.run(main())

    return run


async def paired(command: Any, channel: Any, number: int = 7, answers: tuple[str, ...] = ("", "y")) -> dict[str, Any]:
    pairing = await command("pair", "--json")
    await pairing.until("Window open")
    async with channel(number) as asking:
        revealed = await asking.ask()
        for answer in answers:
            pairing.types(answer)
        await pairing.until("six digits")
        pairing.types(f"{asking.code[:3]} {asking.code[3:]}")
        status, told = await pairing.ended()
        assert (0, True) == (status, "result" in await asking.answer(revealed)), pairing.said
    return dict(json.loads(told))


def test_a_person_ticks_and_types(at_the_desk: Any) -> None:
    async def work(command: Any, channel: Any) -> None:
        told = await paired(command, channel)
        assert (SITE, "Facturation", ["identity", "nir"]) == (told["site"], told["name"], told["scopes"])
        status, listed = await (await command("clients", "--json")).ended()
        (client,) = json.loads(listed)["clients"]
        assert (0, told["client_id"], SITE) == (status, client["client_id"], client["site"])

    at_the_desk(work)


def test_what_is_not_ticked_is_not_granted(at_the_desk: Any) -> None:
    async def work(command: Any, channel: Any) -> None:
        assert ["identity"] == (await paired(command, channel, answers=("", "")))["scopes"]

    at_the_desk(work)


def test_who_asks_is_shown_and_the_code_is_not(at_the_desk: Any) -> None:
    async def work(command: Any, channel: Any) -> None:
        pairing = await command("pair")
        await pairing.until("Window open")
        async with channel() as asking:
            await asking.ask()
            pairing.types("")
            pairing.types("")
            await pairing.until("six digits")
            assert SITE in pairing.said
            assert "never paired" in pairing.said
            assert asking.code not in pairing.said
            pairing.types("12")
            await pairing.until("has six digits")
            wrong = f"{(int(asking.code) + 1) % 1_000_000:06}"
            for _ in range(3):
                pairing.types(wrong)
            status, out = await pairing.ended()
        assert (5, "") == (status, out), pairing.said
        assert "No page is paired" in pairing.said

    at_the_desk(work)


def test_nothing_granted_closes_the_window(at_the_desk: Any) -> None:
    async def work(command: Any, channel: Any) -> None:
        pairing = await command("pair")
        await pairing.until("Window open")
        async with channel() as asking:
            revealed = await asking.ask()
            pairing.types("n")
            pairing.types("n")
            status, _ = await pairing.ended()
            assert "error" in await asking.answer(revealed)
        assert 5 == status
        assert "Nothing was granted" in pairing.said

    at_the_desk(work)


@pytest.mark.parametrize("by", ["id", "site", "typed"])
def test_a_page_is_revoked_by_its_id_or_by_its_site(at_the_desk: Any, by: str) -> None:
    async def work(command: Any, channel: Any) -> None:
        told = await paired(command, channel)
        async with channel() as reading:
            assert isinstance(reading, Page)
            await reading.open()
            name = {"id": told["client_id"], "site": SITE, "typed": "https://Facturation.example.fr:443/"}[by]
            status, out = await (await command("revoke", name, "--json")).ended()
            assert (0, {"revoked": [told["client_id"]], "sessions": 1}) == (status, json.loads(out))
            assert 4001 == await reading.closed_with()
        status, _ = await (await command("revoke", name)).ended()
        assert 2 == status

    at_the_desk(work)


@pytest.mark.parametrize("name", ["page-unknown", "https://autre.example", "https://a.example/chemin"])
def test_what_is_not_paired_is_not_revoked(at_the_desk: Any, name: str) -> None:
    async def work(command: Any, channel: Any) -> None:
        status, out = await (await command("revoke", name)).ended()
        assert (2, "") == (status, out)

    at_the_desk(work)
