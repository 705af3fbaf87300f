"""Metrics of a running daemon, as a scraper gets them over a real socket from a real exporter."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.posix import OWN_DOOR
from vitale_drivers.host.confinement import landlock_version
from vitale_protocol.errors import StoreUnavailable
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.metrics import exporter, gauges
from vitale_reader.daemon.metrics.exporter import MetricsExporter
from vitale_reader.daemon.process import kill
from vitale_reader.daemon.store.store import Store
from vitale_reader.daemon.transports.loopback import loopback_port
from vitale_reader.web.http_rules import MALFORMED, REFUSED

pytestmark = pytest.mark.posix

PATIENCE = 40.0
METRICS = "[metrics]\nenabled = true\nport = {port}\n"
CONFIG = f'[station]\nmode = "simulated"\n[drivers]\nenabled = []\n{OWN_DOOR}' + METRICS

#: Nothing of a patient, a client or a serial number may be in what is shown.
CANARIES = ("MERLE", "CLAIRE", "2840613990412", "opaque", "Logiciel-Canari", "Counter", "nfc:counter")

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Scraper:
    """A scraper that has the bearer of a station, and the desk's own session beside it."""

    def __init__(self, home: Any, line: Any, messages: Callable[[], list[str]]) -> None:
        self.home, self.line, self._messages = home, line, messages

    @property
    def bearer(self) -> str:
        return str((self.home.state / "metrics.bearer").read_text().strip())

    async def port(self) -> int:
        """The port, from the log: it is any that was free."""
        async with asyncio.timeout(PATIENCE):
            while not (found := re.findall(r"metrics on 127\.0\.0\.1:(\d+)", "\n".join(self._messages()))):  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.02)
        return int(found[-1])

    async def told(self, request: bytes) -> bytes:
        """All that comes back for some bytes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", await self.port())
        try:
            writer.write(request)
            async with asyncio.timeout(PATIENCE):
                return await reader.read()
        finally:
            writer.close()

    async def scraped(self, path: str = "/metrics", bearer: str | None = None) -> bytes:
        """All that a scraper gets."""
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{await self.port()}\r\n"
        return await self.told(f"{head}Authorization: Bearer {bearer or self.bearer}\r\n\r\n".encode())

    async def answer(self, path: str = "/metrics", bearer: str | None = None) -> tuple[int, bytes, bytes]:
        """Status, head and body of an answer."""
        head, _, body = (await self.scraped(path, bearer)).partition(b"\r\n\r\n")
        return int(head.split()[1]), head, body

    async def samples(self) -> Samples:
        status, _, body = await self.answer()
        assert 200 == status
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for metric in text_string_to_metric_families(body.decode())
            for sample in metric.samples
        }

    async def samples_that(self, hold: Callable[[Samples], bool]) -> Samples:
        """The samples once something holds of them."""
        async with asyncio.timeout(PATIENCE):
            while not hold(found := await self.samples()):  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.1)  # figures are told again for half a second
        return found

    async def exporter(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.line.result("station.info"))["exporter"]
        return {"restarts": 0, "variant": None} | told

    async def exporter_that(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while not holds(found := await self.exporter()):  # noqa: ASYNC110  what is awaited has no event
                await asyncio.sleep(0.02)
        return found


@pytest.fixture
def scraped(tools: Any, caplog: pytest.LogCaptureFixture) -> Callable[..., None]:
    """Runs a test with a station that shows metrics."""
    caplog.set_level("INFO")

    def run(work: Callable[[Scraper], Awaitable[None]], *, port: int = 0) -> None:
        async def main(endpoints: Any) -> None:
            async with tools.unix_line(endpoints) as line:
                await line.open(language="en")
                await work(Scraper(tools.home, line, lambda: caplog.messages))

        tools.run(main, parse(CONFIG.format(port=port)))

    return run


def test_what_patients_present_is_counted_and_nobody_is_named(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def work(line: Any) -> None:
        scraper = Scraper(counter.home, line, lambda: caplog.messages)
        await line.result("clients.add", {"name": "Logiciel-Canari", "scopes": ["identity"], "transports": ["unix"]})
        claims = await counter.claims(line, b"opaque-1", scopes=["identity", "nir", "rights", "context"])
        assert "MERLE-ESSAI" == claims["record"]["beneficiaires"][0]["nom_usuel"]
        assert "replayed" == (await counter.refusal(line, b"opaque-1"))["reason"]
        request = await counter.ask(line)
        await line.result("presentation.cancel", {"request": request})
        medium, driver = ("medium", "apcv-nfc"), ("driver", "nfc")
        presented = "vitale_reader_presentations_total"
        found = await scraper.samples()
        assert 1 == found[presented, (driver, medium, ("outcome", "ok"))]
        assert 1 == found[presented, (driver, medium, ("outcome", "replayed"))]
        assert 1 == found["vitale_reader_requests_unanswered_total", (("outcome", "cancelled"),)]
        stages = {
            dict(labels)["stage"]: value
            for (name, labels), value in found.items()
            if name == "vitale_reader_presentation_stage_seconds_count"
        }
        assert {"guard": 2.0, "resolve": 1.0, "sign": 1.0, "keep": 1.0} == stages
        assert 2 == found["vitale_reader_presentation_seconds_count", (medium,)]
        assert 1 == found["vitale_reader_outbox_tokens", ()]
        assert 1 == found["vitale_reader_resolver_state", (("state", "ready"),)]
        assert 1 == found["vitale_reader_readers", (("driver", "nfc"), ("state", "empty"))]
        assert 1 == found["vitale_reader_sessions", ()]
        assert 0 <= found["vitale_reader_store_round_trip_seconds", ()] < PATIENCE
        _, _, body = await scraper.answer()
        assert [] == [canary for canary in CANARIES if canary.encode() in body]

    counter.run(work, counter.config(rest=METRICS.format(port=0)))


def test_whoever_has_no_bearer_gets_the_refusal_and_no_page_gets_anything(scraped: Any) -> None:
    async def work(scraper: Scraper) -> None:
        status, head, body = await scraper.answer()
        assert (200, True) == (status, b"vitale_reader_info" in body)
        assert b"no-store" in head
        assert b"Access-Control" not in head
        assert (200, b"ok\n") == (await scraper.answer("/healthz"))[::2]
        assert 403 == (await scraper.answer(bearer="b" * 43))[0]
        host = f"Host: 127.0.0.1:{await scraper.port()}\r\n"
        shown = f"Authorization: Bearer {scraper.bearer}\r\n"
        refused = (
            f"GET /metrics HTTP/1.1\r\n{host}\r\n",
            f"GET /metrics HTTP/1.1\r\n{host}{shown}Origin: https://a.example\r\n\r\n",
            f"GET /metrics HTTP/1.1\r\nHost: evil.test\r\n{shown}\r\n",
            f"GET / HTTP/1.1\r\n{host}{shown}\r\n",
            f"OPTIONS /metrics HTTP/1.1\r\n{host}{shown}Access-Control-Request-Method: GET\r\n\r\n",
        )
        assert {REFUSED} == {await scraper.told(each.encode()) for each in refused}
        malformed = (b"\x16\x03\x01\x02\x00" * 20 + b"\r\n\r\n", b"GET /metrics\r\n\r\n", b"X: y\r\n" * 2_000)
        assert {MALFORMED} == {await scraper.told(each) for each in malformed}
        assert "ready" == (await scraper.exporter())["state"]

    scraped(work)


def test_an_exporter_that_is_killed_is_back_and_has_lost_nothing(scraped: Any) -> None:
    async def work(scraper: Scraper) -> None:
        before = await scraper.samples_that(lambda found: found["vitale_reader_store_seconds_count", ()] > 0)
        first = await scraper.exporter()
        kill(first["pid"])
        after = await scraper.exporter_that(lambda told: told["restarts"] == 1 and told["state"] == "ready")
        assert first["pid"] != after["pid"]
        name = ("vitale_reader_store_seconds_count", ())
        assert before[name] <= (await scraper.samples())[name]

    scraped(work)


def test_a_store_that_does_not_answer_is_told_as_that(scraped: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away", variant="file-locked")

    async def work(scraper: Scraper) -> None:
        assert 1 == (await scraper.samples())["vitale_reader_store_up", ()]
        with monkeypatch.context() as patch:
            patch.setattr(Store, "run", away)
            found = await scraper.samples_that(lambda found: found["vitale_reader_store_up", ()] == 0)
        assert ("vitale_reader_outbox_tokens", ()) not in found
        assert 1 <= found["vitale_reader_store_failures_total", ()]

    scraped(work)


def test_a_fault_of_ours_is_logged_and_the_figures_are_back(
    scraped: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def faulty(*_: object) -> None:
        raise ZeroDivisionError

    async def work(scraper: Scraper) -> None:
        before = await scraper.exporter_that(lambda told: told["state"] == "ready")
        with monkeypatch.context() as patch:
            patch.setattr(gauges, "look_up", faulty)
            # The exporter is told to end as its line ends: whichever it sees first.
            assert (await scraper.scraped()).split(b" ")[1:2] in ([b"503"], [])
        await scraper.exporter_that(lambda told: told["state"] == "ready" and told["pid"] != before["pid"])
        assert 200 == (await scraper.answer())[0]

    scraped(work)
    assert [True] == [message.startswith("incident ") for message in caplog.messages if "incident" in message]


def test_a_port_that_is_taken_is_told_and_taken_when_it_is_free(scraped: Any) -> None:
    taken = loopback_port(0)

    async def work(scraper: Scraper) -> None:
        told = await scraper.exporter_that(lambda told: told["variant"] is not None)
        assert ("configuration_invalid", "metrics_port_in_use") == (told["reason"], told["variant"])
        taken.close()
        await scraper.exporter_that(lambda told: told["state"] == "ready")
        assert taken.port == await scraper.port()
        assert 200 == (await scraper.answer())[0]

    scraped(work, port=taken.port)


def test_a_bearer_that_is_open_to_everybody_shows_nothing(scraped: Any, tools: Any) -> None:
    tools.home.state.mkdir(mode=0o700)
    file: Path = tools.home.state / "metrics.bearer"
    file.write_text("0123456789abcdef0123456789abcdef\n")
    file.chmod(0o644)

    async def work(scraper: Scraper) -> None:
        told = await scraper.exporter_that(lambda told: told["variant"] is not None)
        assert "bearer_exposed" == told["variant"]
        file.unlink()
        await scraper.exporter_that(lambda told: told["state"] == "ready")
        assert 200 == (await scraper.answer())[0]

    scraped(work)


#: An exporter that looks for what is not its own, and says so in place of figures.
HOSTILE = """
import socket, sys
from vitale_drivers.base import Started
from vitale_drivers.host.attendance import begun
from vitale_drivers.host.worker_process import run_and_end

def run(pipe):
    start = begun(pipe)
    found = []
    for file in start.hidden:
        try:
            open(file + "/" + sys.argv[2])
        except OSError as error:
            found.append(type(error).__name__)
        else:
            found.append("opened")
    pipe.send(Started(driver="exporter", media=(), version=" ".join([*found, *sorted(start.options)])))
    pipe.receive()

run_and_end(run)
"""


@pytest.mark.skipif(not landlock_version(), reason="this system has no Landlock")
def test_an_exporter_that_was_taken_over_reaches_no_file_of_the_daemon(
    scraped: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script = tmp_path / "hostile.py"
    script.write_text(HOSTILE)
    command = (sys.executable, "-P", str(script), "exporter", "station.json")
    monkeypatch.setattr(exporter, "MetricsExporter", partial(MetricsExporter, command=command))

    async def work(scraper: Scraper) -> None:
        told = await scraper.exporter_that(lambda told: told["state"] == "ready")
        found = str(told["version"]).split()
        assert "PermissionError" in found
        assert "opened" not in found
        assert {"bearer", "ipv4", "line"} == {*found} & {"bearer", "ipv4", "line"}

    scraped(work)


def test_many_at_once_get_the_same_figures(scraped: Any) -> None:
    async def work(scraper: Scraper) -> None:
        answers = await asyncio.gather(*(scraper.answer() for _ in range(20)))
        assert {200} == {status for status, _, _ in answers}
        assert 1 == len({body for _, _, body in answers})

    scraped(work)


def test_it_is_off_unless_it_is_wanted(tools: Any) -> None:
    async def main(endpoints: Any) -> None:
        async with tools.unix_line(endpoints) as line:
            await line.open(language="en")
            assert "exporter" not in await line.result("station.info")
        assert not (tools.home.state / "metrics.bearer").exists()

    tools.run(main)
