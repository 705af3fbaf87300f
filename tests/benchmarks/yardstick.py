"""``python -m tests.benchmarks.yardstick``: what fixed work costs, in instructions, beside what it cost at a release.

Instructions are counted by valgrind's cachegrind: unlike times, they hardly depend on what else the machine does. Each
figure is a difference of two runs, in which the start of the interpreter cancels out. The milliseconds of the processor
beside them are the least of several runs without valgrind; they are of this machine, and only to be looked at.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
import msgspec

from vitale_protocol.errors import ToolMissing
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command

__all__ = ["ITEMS", "Cost", "Item", "Release", "growth", "load", "report", "text"]

KEPT = Path(__file__).with_name("yardstick.toml")
WORKLOAD = str(Path(__file__).with_name("workload.py"))
TOLERATED = 0.05
TURNS = 5


class Item(msgspec.Struct, frozen=True):
    """Work that is counted: run ``few`` and ``many`` times by valgrind, ``few`` and ``timed`` times without."""

    name: str
    what: str
    few: int
    many: int
    timed: int


ITEMS = (
    Item("start", "the daemon, until it serves", 0, 1, 1),
    Item("token", "a token through the core", 5, 45, 405),
    Item("ping", "session.ping, the core's part", 20, 220, 8_020),
    Item("first", "a code in five pictures", 1, 6, 21),
    Item("decode", "all codes in five pictures", 1, 3, 11),
    Item("verify", "a token verified by the SDK", 20, 120, 900),
    Item("help", "vitale-reader --help", 0, 1, 1),
)


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece of work costs: millions of instructions, and milliseconds of the processor."""

    instructions: float
    cpu_ms: float


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """The costs at a release, by item; instructions compare with those of the same Python only."""

    python: str
    costs: dict[str, Cost]


@command("yardstick", help="Counts the instructions of fixed work, beside those of the last release.")
@click.option("--item", "names", multiple=True, type=click.Choice([item.name for item in ITEMS]), help="Only this.")
@click.option("--check", is_flag=True, help="Exit status 1 where something has grown by more than 5 %.")
@click.option("--keep", metavar="RELEASE", help="Writes the figures down as those of a release.")
@as_json
def yardstick(names: tuple[str, ...], check: bool, keep: str | None, as_json: bool) -> None:
    """The command."""
    if shutil.which("valgrind") is None:
        raise ToolMissing("valgrind is not installed", data={"tool": "valgrind"})
    items = [item for item in ITEMS if not names or item.name in names]
    kept = load(KEPT.read_text("utf-8")) if KEPT.exists() else {}
    with output.progress("Preparing…") as say, tempfile.TemporaryDirectory(prefix="vitale-yardstick-") as folder:
        _run((), "prepare", folder, 0)
        costs: dict[str, Cost] = {}
        for item in items:
            say(f"{item.name}…")
            costs[item.name] = _measured(item, folder)
    if keep is not None:
        was = kept[keep].costs if keep in kept else {}
        kept[keep] = Release(python=platform.python_version(), costs={**was, **costs})
        KEPT.write_text(text(kept), "utf-8")
    release, before = next(reversed(kept.items()), ("", Release(python=platform.python_version(), costs={})))
    if as_json:
        output.print_json({"costs": costs, "release": release, "growth": growth(costs, before.costs)})
    else:
        report(costs, release, before)
    if check and any(share > TOLERATED for share in growth(costs, before.costs).values()):
        click.get_current_context().exit(1)


def load(content: str) -> dict[str, Release]:
    """The releases of ``yardstick.toml``, oldest first."""
    return msgspec.convert(tomllib.loads(content), dict[str, Release])


def text(releases: Mapping[str, Release]) -> str:
    """The content of ``yardstick.toml``."""
    lines = ["# Written by `python -m tests.benchmarks.yardstick --keep RELEASE`; the last one is compared with.\n"]
    for name, release in releases.items():
        lines.append(f'\n["{name}"]\npython = "{release.python}"\n\n["{name}".costs]\n')
        for item, cost in release.costs.items():
            lines.append(f"{item} = {{ instructions = {cost.instructions:.4f}, cpu_ms = {cost.cpu_ms:.3f} }}\n")
    return "".join(lines)


def growth(costs: Mapping[str, Cost], before: Mapping[str, Cost]) -> dict[str, float]:
    """By which share the instructions of each item have grown, where it was counted before."""
    return {name: cost.instructions / before[name].instructions - 1 for name, cost in costs.items() if name in before}


def report(costs: Mapping[str, Cost], release: str, before: Release) -> None:
    """Prints the figures, then what is to be explained."""
    grown = growth(costs, before.costs)
    what = {item.name: item.what for item in ITEMS}
    output.table(
        ("", "", "M instructions", release, "growth", "CPU ms", release),
        [_row(name, what[name], cost, before.costs.get(name), grown.get(name)) for name, cost in costs.items()],
    )
    if before.python != platform.python_version():
        output.note(f"{release} was counted with Python {before.python}, this with {platform.python_version()}.")
    for name, share in grown.items():
        if share > TOLERATED:
            output.note(f"to be explained: {name} ({what[name]}), {share:+.1%}")


def _row(name: str, what: str, cost: Cost, was: Cost | None, share: float | None) -> Sequence[str]:
    return (
        name,
        what,
        f"{cost.instructions:.3f}",
        "" if was is None else f"{was.instructions:.3f}",
        "" if share is None else f"{share:+.1%}",
        f"{cost.cpu_ms:.3f}",
        "" if was is None else f"{was.cpu_ms:.3f}",
    )


# ── measuring ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _measured(item: Item, folder: str) -> Cost:
    def milliseconds(count: int) -> float:
        return min(float(_run((), item.name, folder, count)) for _ in range(TURNS))

    cpu = (milliseconds(item.timed) - milliseconds(item.few)) / (item.timed - item.few)
    counted = _instructions(item, folder, item.many) - _instructions(item, folder, item.few)
    return Cost(instructions=counted / (item.many - item.few) / 1e6, cpu_ms=cpu)


def _instructions(item: Item, folder: str, count: int) -> int:
    log = Path(folder, "valgrind.log")
    counting = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
    _run((*counting, f"--log-file={log}"), item.name, folder, count)
    found = re.search(r"I\s+refs:\s+([\d,]+)", log.read_text("utf-8"))
    if found is None:
        raise ToolMissing("cachegrind did not count", data={"tool": "valgrind"})
    return int(found[1].replace(",", ""))


def _run(before: Sequence[str], item: str, folder: str, count: int) -> str:
    # A fixed seed, so that sets and dictionaries are walked alike; byte code is written, else each run would compile.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    if before:
        # valgrind 3.19 does not know an encoding of VMOVQ that OpenCV has where it uses AVX2, and ends with SIGILL.
        environment["OPENCV_CPU_DISABLE"] = "AVX2"
    program = (*before, sys.executable, "-P", WORKLOAD, item, folder, str(count))
    return subprocess.run(program, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    yardstick.main(prog_name="python -m tests.benchmarks.yardstick")
