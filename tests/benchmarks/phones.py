"""Phones: taps beside bare nfcpy, the load of a reader that waits, the time of the service."""

import asyncio
from collections.abc import Callable, Sequence

from tests.benchmarks.latency_nfc import BAUD_RATES, IdleLoad, TapTimes, measure_idle, measure_taps
from tests.benchmarks.table import MILLISECONDS, Allowance, Measure, p50, p95
from vitale_protocol.errors import ToolMissing
from vitale_reader import aio
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.demo.phone import Taps
from vitale_reader.cli.frame.language import t

__all__ = ["idle_lines", "lines", "tap_lines"]

PATIENCE = 30.0
ALLOWED = Allowance(0.004, 0.008)
"""What the driver may take more than the chip's own loop."""

ARMED = 0.03
AT_REST = 0.005
"""Shares of a core: the promise while armed, and what a clock of 100 ticks a second can tell from nothing."""


def lines(taps: int, idle: int, say: Callable[[str], None]) -> list[Measure]:
    """Everything about phones.

    Raises:
        ReaderUnavailable: a way did not read a phone.
        ToolMissing: there are no pseudo-terminals here, or no nfcpy.
    """
    found = tap_lines(measure_taps(taps, say))
    say(t(f"Lecteur NFC au repos, deux fois {idle} s…", f"NFC reader at rest, twice {idle} s…"))
    found += idle_lines(measure_idle(idle))
    say(t("Téléphone posé → jeton…", "Tap → token…"))
    with demo_environment(simulated_driver=True, phones=True) as demo:
        return found + asyncio.run(_tokens(demo, taps))


def tap_lines(times: Sequence[TapTimes]) -> list[Measure]:
    """The driver beside each other way, at each speed."""
    taken = {(one.way, one.baud): one.seconds for one in times}
    others = (
        ("connect", t("nfcpy seul, réglages d'origine", "bare nfcpy, its defaults")),
        ("connect-20", t("nfcpy seul, toutes les 20 ms", "bare nfcpy, every 20 ms")),
        ("chip", t("boucle sur l'ISO-DEP de la puce", "loop on the chip's ISO-DEP")),
    )
    found: list[Measure] = []
    for baud in BAUD_RATES:
        ours = taken["driver", baud]
        for way, name in others:
            bare = taken[way, baud]
            found.append(
                Measure(
                    name=t(f"téléphone posé → chaîne, {baud} bauds", f"tap → string, {baud} baud"),
                    unit="ms",
                    baseline=name,
                    baseline_p50=p50(bare) * MILLISECONDS,
                    baseline_p95=p95(bare) * MILLISECONDS,
                    ours="nfc",
                    p50=p50(ours) * MILLISECONDS,
                    p95=p95(ours) * MILLISECONDS,
                    promise=ALLOWED.text(t("boucle", "loop")) if way == "chip" else "",
                    kept=ALLOWED.holds(ours, bare) if way == "chip" else None,
                )
            )
    return found


def idle_lines(load: IdleLoad) -> list[Measure]:
    """What the driver takes with an empty field."""
    name = t("charge au repos, pilote nfc", "idle load, driver nfc")
    return [
        Measure(
            name=name,
            unit="%",
            ours=t("armé", "armed"),
            p50=load.armed * 100,
            promise=t("< 3 % d'un cœur", "< 3 % of one core"),
            kept=load.armed < ARMED,
        ),
        Measure(
            name=name,
            unit="%",
            ours=t("non armé", "not armed"),
            p50=load.disarmed * 100,
            promise=t("rien", "nothing"),
            kept=load.disarmed < AT_REST,
        ),
    ]


async def _tokens(demo: DemoEnvironment, count: int) -> list[Measure]:
    if demo.phones is None or demo.phones.reader is None:
        raise ToolMissing(demo.phones.why if demo.phones else "", data={"tool": "nfcpy"})
    whole: list[float] = []
    resolving: list[float] = []
    phone = demo.phones.phone("claire")
    async with aio.connect(home=demo.home, name="bench") as local:
        taps = Taps.at(local, demo, "nfc", ("identity", "rights"), PATIENCE)
        for _ in range(count + 1):
            await taps.tap(phone)
            whole.append(taps.finished - taps.laid)
            resolving.append(taps.finished - taps.steps["resolving"])
    return [
        Measure(
            name=t("téléphone posé → jeton vérifié, unix", "tap → verified token, unix"),
            unit="ms",
            ours=what,
            p50=p50(times[1:]) * MILLISECONDS,  # without the first, in which much is done for the first time
            p95=p95(times[1:]) * MILLISECONDS,
        )
        for what, times in (
            (t("résolveur compris", "with the resolver"), whole),
            (t("dont résolveur et jeton", "of which resolver and token"), resolving),
        )
    ]
