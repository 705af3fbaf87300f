"""``vitale-reader bench``: the speed of this desk with its own readers and store, and remedies where it is slow."""

import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from vitale_protocol.errors import VitaleError
from vitale_protocol.events import Event, PreviewFrame, Reader
from vitale_protocol.methods import PreviewStart, PreviewStarted
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, daemon_options, daemon_settings, to_daemon
from vitale_reader.cli.frame.language import t

if TYPE_CHECKING:
    from vitale_reader.client.blocking import Connection
    from vitale_reader.client.connection import Settings

__all__ = ["Figure", "bench", "judged"]

Subject = Literal["connection", "store", "reader", "camera"]

#: Beyond these a person at the desk notices: milliseconds at p95 (of a card: p50); fewer pictures a second.
SLOW: dict[Subject, float] = {"connection": 10.0, "store": 25.0, "reader": 2_000.0, "camera": 5.0}
READINGS, CARD_TIMEOUT, MAY_LOOK = 10, 30.0, {"identity", "preview"}
CAMERA_OPENS, CAMERA_SECONDS, QUICKEST_MS = 30.0, 3.0, 100  # a preview gives no more than ten pictures a second


class Figure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was measured, a rate in ``p50`` alone; or ``left_out``, why it was not."""

    subject: Subject
    name: str
    unit: Literal["ms", "/s"]
    p50: float | None = None
    p95: float | None = None
    left_out: str = ""
    slow: bool = False
    remedy: str = ""


@command(
    "bench",
    help=t("Mesure ce poste, et dit quoi faire de ce qui est lent.", "Measures this desk, and helps where it is slow."),
)
@click.option("--trips", type=click.IntRange(10, 10_000), default=200, help=t("Échanges : 200.", "Round trips: 200."))
@click.option("--yes", is_flag=True, help=t("Lit sans le demander la carte insérée.", "Reads the card without asking."))
@as_json
@daemon_options
def bench(trips: int, yes: bool, as_json: bool, home: Path | None, address: str | None, pairing: Path | None) -> None:
    """Runs the command ``vitale-reader bench``."""
    with to_daemon(home, address, pairing) as daemon:
        scopes, own = daemon.session().scopes, [reader for reader in daemon.readers() if reader.station is None]
        cards = [reader for reader in own if reader.state == "present" and reader.medium == "vitale-card"]
        cameras = [reader for reader in own if reader.driver == "camera" and reader.state != "unavailable"]
        refused = _refusal(scopes, asks=bool(cards) and not as_json, yes=yes)
        with output.progress(t("Service et base…", "Daemon and store…")) as say:
            pings = [daemon.ping() for _ in range(trips)]
            looks = [_seconds(daemon.pending) for _ in range(trips)]
            figures = [
                judged("connection", t("aller-retour avec le service", "round trip with the daemon"), pings),
                judged("store", t("lecture de la base, par le service", "look into the store by the daemon"), looks),
            ]
            for reader in cards:
                say(t(f"{reader.name} : laissez la carte…", f"{reader.name}: leave the card in…"))
                figures.append(_card(daemon, reader, refused))
            for reader in cameras:
                say(t(f"{reader.name} : ne présentez rien…", f"{reader.name}: present nothing…"))
                figures.append(_camera(daemon_settings(home, address, pairing), reader, scopes))
    if as_json:
        output.print_json({"figures": figures})
        return
    slow, good = t("LENT", "SLOW"), t("bien", "good")
    output.table(
        (t("Mesure", "Measure"), "p50", "p95", ""),
        [
            (one.name, _value(one.p50, one), _value(one.p95, one), one.left_out or (slow if one.slow else good))
            for one in figures
        ],
    )
    for one in (one for one in figures if one.slow):
        output.note(f"{one.name}\n  → {one.remedy}")
    if not cards:
        output.note(t("Aucune carte Vitale insérée : aucune n’a été lue.", "No carte Vitale inserted: none was read."))


def judged(subject: Subject, name: str, seconds: Sequence[float]) -> Figure:
    """The figure of so many times, with what may make them long where they are."""
    p50 = statistics.median(seconds) * 1000
    p95 = statistics.quantiles([*seconds, seconds[-1]], n=20, method="inclusive")[-1] * 1000
    slow = (p50 if subject == "reader" else p95) > SLOW[subject]
    return _advised(Figure(subject=subject, name=name, unit="ms", p50=p50, p95=p95, slow=slow))


def _advised(figure: Figure) -> Figure:
    advice: dict[Subject, str] = {
        "connection": t(
            "Le poste est chargé : voyez ce qui l’occupe (antivirus, sauvegarde), et par TLS le réseau.",
            "The desk is busy: look at what keeps it so (antivirus, backup), and over TLS at the network.",
        ),
        "store": t(
            "Gardez le dossier du poste sur un disque local, hors de l’antivirus ; sur un site, voyez le réseau.",
            "Keep the station's folder on a local disk, out of the antivirus; at a site, look at the network.",
        ),
        "reader": t(
            "Nettoyez la puce, essayez une autre carte, puis une prise USB sans concentrateur.",
            "Clean the chip, try another card, then a USB socket without a hub.",
        ),
        "camera": t(
            "Éclairez mieux : dans l’ombre, la pose s’allonge. Branchez la caméra sans concentrateur.",
            "Give it more light: in the dark it exposes for longer. Plug it in without a hub.",
        ),
    }
    return msgspec.structs.replace(figure, remedy=advice[figure.subject]) if figure.slow else figure


def _seconds(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def _value(value: float | None, of: Figure) -> str:
    return "" if value is None else f"{value:.3g} {of.unit}" if value < 1000 else f"{value:.0f} {of.unit}"


def _refusal(scopes: Sequence[str], *, asks: bool, yes: bool) -> str:
    """Returns the reason for not reading cards: it takes a right, and consent."""
    if "identity" not in scopes:
        return t("il faut un appairage avec la portée identity", "it needs a pairing with the scope identity")
    question = t(
        f"Lire {READINGS} fois la carte insérée ? Aucun jeton n’est montré ni gardé ; le journal d’audit le note.",
        f"Read the inserted card {READINGS} times? No token is shown or kept; the audit trail notes it.",
    )
    if yes or (asks and output.interactive(sys.stdin) and click.confirm(question, err=True)):
        return ""
    return t("non lue sans accord (--yes)", "not read without consent (--yes)")


def _card(daemon: "Connection", reader: Reader, refused: str) -> Figure:
    name = f"{reader.name} : {t('carte présente → jeton', 'card present → token')}"
    seconds: list[float] = []
    try:
        for _ in range(0 if refused else READINGS):
            before = time.perf_counter()
            found = daemon.read(media=["vitale-card"], readers=[reader.id], timeout=CARD_TIMEOUT, acknowledge=False)
            seconds.append(time.perf_counter() - before)
            found.acknowledge()  # by itself it would come beside the next reading, and lengthen it
    except VitaleError as error:
        refused = str(error.data.get("message", error.reason))
    left_out = Figure(subject="reader", name=name, unit="ms", left_out=refused)
    return left_out if refused else judged("reader", name, seconds)


def _camera(settings: "Settings", reader: Reader, scopes: Sequence[str]) -> Figure:
    figure = Figure(subject="camera", name=f"{reader.name} : images (≤ {1000 // QUICKEST_MS})", unit="/s")
    left_out = t("il faut les portées identity et preview", "it needs the scopes identity and preview")
    try:
        rate = asyncio.run(_pictures(settings, reader.id)) if not MAY_LOOK - {*scopes} else None
    except VitaleError as error:
        rate, left_out = None, str(error.data.get("message", error.reason))
    if rate is None:
        return msgspec.structs.replace(figure, left_out=left_out)
    return _advised(msgspec.structs.replace(figure, p50=rate, slow=rate < SLOW["camera"]))


async def _pictures(settings: "Settings", reader: str) -> float:
    """Measures the pictures per second of a camera, while a request waits for a printed code."""
    from vitale_reader.client.connection import Connection
    from vitale_reader.client.reconnecting import ReconnectingTransport

    came: asyncio.Queue[Event] = asyncio.Queue()
    transport = ReconnectingTransport(
        settings, lambda _, event: came.put_nowait(event) if isinstance(event, PreviewFrame) else None
    )

    async def wait(connection: Connection) -> None:
        async for _ in connection.subscribe(media=["ins-datamatrix", "2d-doc"], readers=[reader]):
            pass  # it stays open for the next; no phone's code is used up

    async with Connection(settings) as connection:
        waiting = asyncio.create_task(wait(connection))
        try:
            await transport.ask_once("preview.start", PreviewStart(reader=reader, every_ms=QUICKEST_MS), PreviewStarted)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(came.get(), CAMERA_OPENS)  # the first shows that it is open
            rate = await _rate(came, waiting)
            if waiting.done():
                await waiting  # it was refused: this says why
            return rate
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await transport.close()


async def _rate(came: "asyncio.Queue[Event]", waiting: "asyncio.Task[None]") -> float:
    """Counts events for ``CAMERA_SECONDS`` of the clock, or for as long as it takes to the first one."""
    began, pictures = time.perf_counter(), 0
    while not waiting.done() and (not pictures or time.perf_counter() - began < CAMERA_SECONDS):
        try:
            await asyncio.wait_for(came.get(), CAMERA_SECONDS)
            pictures += 1
        except TimeoutError:
            if time.perf_counter() - began > CAMERA_OPENS:
                break
    # Those that had come before and waited are counted as well.
    return min(pictures / (time.perf_counter() - began), 1000 / QUICKEST_MS)
