"""Codes: from the first frame that shows one to its token, beside OpenCV and zxing-cpp alone."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import msgspec

from tests.benchmarks.processes import baseline, loads
from tests.benchmarks.table import MILLISECONDS, Allowance, Measure, p50, p95
from vitale_protocol.errors import Cancelled, ReaderUnavailable, ToolMissing
from vitale_reader import aio
from vitale_reader.cli.demo.code_devices import CodeDevices
from vitale_reader.cli.demo.codes import Glances
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment
from vitale_reader.cli.frame.language import t

if TYPE_CHECKING:
    from vitale_firmware_sim.camera.live import LiveCamera

__all__ = ["lines"]

PATIENCE = 30.0
ALLOWED = Allowance(0.030, 0.040)
"""What a token may take more than OpenCV and zxing-cpp alone need for the text: all of the frame is looked at first."""

CORE = 0.15
AT_REST = 0.005
"""Shares of a core: the promise while armed, and what a clock of 100 ticks a second can tell from nothing."""


def lines(count: int, idle: int, say: Callable[[str], None]) -> list[Measure]:
    """Everything about codes before a camera and an imager.

    Args:
        count: how often a code is shown.
        idle: seconds over which the load is taken.
        say: is told what is being done.

    Raises:
        ToolMissing: there is no OpenCV, or no zxing-cpp.
        ReaderUnavailable: a code was not read.
    """
    say(t("Code visible → jeton…", "Code visible → token…"))
    # Without a service that resolves the strings: its time is that of a network.
    with demo_environment(simulated_driver=True, codes=True) as demo:
        if demo.codes is None or demo.codes.camera is None:
            why = demo.codes.why_camera if demo.codes else ""
            raise ToolMissing(why, data={"tool": "opencv-python"})
        bare = _bare(demo.codes, demo.codes.camera, count)
        return asyncio.run(_measured(demo, demo.codes, count, idle, bare))


async def _measured(
    demo: DemoEnvironment, codes: CodeDevices, count: int, idle: int, bare: list[float]
) -> list[Measure]:
    found: list[Measure] = []
    async with aio.connect(home=demo.home, name="bench") as local:
        pid = next(one.pid for one in (await local.station()).drivers if one.name == "camera")
        if pid is None:
            raise ReaderUnavailable("the driver camera does not run")
        (rest,) = await asyncio.to_thread(loads, (pid,), idle)
        async with _camera_open(local):
            glances = await _shown(demo, codes, "camera", count, local)
            (load,) = await asyncio.to_thread(loads, (pid,), idle)
        found += [
            Measure(
                name=t("code visible → jeton vérifié, unix", "code visible → verified token, unix"),
                unit="ms",
                baseline=t("OpenCV et zxing-cpp seuls, le texte", "bare OpenCV and zxing-cpp, the text"),
                baseline_p50=p50(bare) * MILLISECONDS,
                baseline_p95=p95(bare) * MILLISECONDS,
                ours="camera",
                p50=p50(glances) * MILLISECONDS,
                p95=p95(glances) * MILLISECONDS,
                promise=ALLOWED.text(t("image", "frame")),
                kept=ALLOWED.holds(glances, bare),
            ),
            _load_line(t("armé, rien en vue", "armed, nothing in view"), load, CORE, t("< 15 %", "< 15 %")),
            _load_line(t("non armé", "not armed"), rest, AT_REST, t("rien", "nothing")),
        ]
        if codes.imager is not None:
            scans = await _shown(demo, codes, "imager", count, local)
            found.append(
                Measure(
                    name=t("code lu par la douchette → jeton vérifié", "code scanned with the imager → verified token"),
                    unit="ms",
                    ours="scanner",
                    p50=p50(scans) * MILLISECONDS,
                    p95=p95(scans) * MILLISECONDS,
                )
            )
    return found


def _load_line(what: str, load: float, most: float, promise: str) -> Measure:
    name = t("charge, pilote camera en 1280×720", "load, driver camera at 1280×720")
    return Measure(name=name, unit="%", ours=what, p50=load * 100, promise=promise, kept=load < most)


@asynccontextmanager
async def _camera_open(local: aio.Connection) -> AsyncGenerator[None]:
    """Has the camera open the whole time: somebody else waits for what never comes."""
    waiting = asyncio.create_task(local.read(media=["2d-doc"], timeout=600))
    try:
        yield
    finally:
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError, Cancelled):
            await waiting


async def _shown(
    demo: DemoEnvironment, codes: CodeDevices, place: str, count: int, local: aio.Connection
) -> list[float]:
    screen = codes.screen("claire")
    glances = Glances.at(local, demo, place, "qr", (("identity",), PATIENCE))
    taken: list[float] = []
    for _ in range(count + 1):
        await glances.read(screen.renewed())
        taken.append(glances.finished - glances.shown)
    await glances.clear()
    return taken[1:]  # without the first, in which much is done for the first time


# ── the baseline ─────────────────────────────────────────────────────────────────────────────────────────────────────


class _Seen(msgspec.Struct, frozen=True):
    text: str
    at: float


def _bare(codes: CodeDevices, camera: "LiveCamera", count: int) -> list[float]:
    screen = codes.screen("claire")
    taken: list[float] = []
    with _bare_process(camera.url) as said:
        next(said)
        for _ in range(count + 1):
            code = screen.renewed()
            camera.prepare(code)
            camera.show(code)
            seen = next(one for one in said if one.text == code.decode("ascii"))
            sent = camera.sent_at(code)
            if sent is not None:
                taken.append(seen.at - sent)
    camera.clear()
    return taken[1:]


@contextmanager
def _bare_process(url: str) -> Generator[Generator[_Seen]]:
    program = (*baseline("camera"), url)
    with subprocess.Popen(program, stdout=subprocess.PIPE) as process:
        try:
            yield _lines(process)
        finally:
            process.kill()


def _lines(process: "subprocess.Popen[bytes]") -> Generator[_Seen]:
    if process.stdout is None:
        raise TypeError("the output of the bare is to be a pipe")
    for line in process.stdout:
        yield msgspec.json.decode(line, type=_Seen)
    raise ReaderUnavailable("the process that is measured has ended")
