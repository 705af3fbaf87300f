"""``yardstick``: figures beside those of a release, and what has grown; the work itself, uncounted."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.benchmarks import workload, yardstick
from tests.benchmarks.yardstick import ITEMS, Cost, Item, Release, growth, load, text

KEPT = {
    "1.0.0": Release(python="3.11.7", costs={"ping": Cost(instructions=0.1, cpu_ms=0.02)}),
    "1.1.0": Release(
        python="3.12.1",
        costs={"ping": Cost(instructions=0.125, cpu_ms=0.02), "token": Cost(instructions=4.0, cpu_ms=2.5)},
    ),
}


def cost(instructions: float) -> Cost:
    return Cost(instructions=instructions, cpu_ms=1.0)


def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *arguments: str, counted: float = 4.0) -> tuple[int, str]:
    """The command with invented figures, beside those of ``KEPT``."""
    file = tmp_path / "yardstick.toml"
    if not file.exists():
        file.write_text(text(KEPT), "utf-8")

    def prepared(*_: object) -> str:
        return ""

    def measured(item: Item, _: str) -> Cost:
        return cost(counted)

    monkeypatch.setattr(yardstick, "KEPT", file)
    monkeypatch.setattr(yardstick, "_run", prepared)
    monkeypatch.setattr(yardstick, "_measured", measured)
    monkeypatch.setattr("shutil.which", str)
    done = CliRunner().invoke(yardstick.yardstick, ["--item", "token", *arguments])
    return done.exit_code, done.output


def test_what_is_written_is_read_again() -> None:
    assert load(text(KEPT)) == KEPT
    assert list(load(text(KEPT))) == ["1.0.0", "1.1.0"]


def test_every_item_is_kept_of_the_last_release() -> None:
    *_, last = load(yardstick.KEPT.read_text("utf-8")).values()
    assert last.costs.keys() == {item.name for item in ITEMS}
    assert all(one.instructions > 0 for one in last.costs.values())


def test_growth_is_of_what_was_counted_before() -> None:
    found = growth({"token": cost(4.4), "ping": cost(0.1), "new": cost(1.0)}, KEPT["1.1.0"].costs)
    assert {name: round(share, 6) for name, share in found.items()} == {"token": 0.1, "ping": -0.2}


@pytest.mark.parametrize(("counted", "status"), [(4.1, 0), (4.3, 1), (3.0, 0)])
def test_more_than_a_twentieth_is_to_be_explained(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counted: float, status: int
) -> None:
    assert run(monkeypatch, tmp_path, "--check", counted=counted)[0] == status
    plain, said = run(monkeypatch, tmp_path, counted=counted)
    assert plain == 0
    assert ("to be explained: token" in said) == bool(status)


def test_figures_are_kept_beside_the_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, tmp_path, "--keep", "1.1.0", counted=4.2)[0] == 0
    kept = load((tmp_path / "yardstick.toml").read_text("utf-8"))
    assert kept["1.1.0"].costs == {**KEPT["1.1.0"].costs, "token": cost(4.2)}
    assert kept["1.0.0"] == KEPT["1.0.0"]


def test_figures_of_another_python_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("platform.python_version", lambda: "3.13.0")
    assert "1.1.0 was counted with Python 3.12.1, this with 3.13.0." in run(monkeypatch, tmp_path)[1]


def test_without_valgrind_this_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(_: str) -> None:
        return None

    monkeypatch.setattr("shutil.which", nowhere)
    done = CliRunner().invoke(yardstick.yardstick, ["--json"])
    assert done.exit_code == 1
    assert '"reason": "tool_missing"' in done.output
    assert "valgrind" in done.output


@pytest.mark.parametrize("work", [workload.first, workload.decode])
def test_decoding_is_the_same_work_however_slow_the_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, work: Callable[[Path, int], None]
) -> None:
    tried: list[str] = []

    class Blind:
        def symbols(self, picture: object) -> list[object]:
            tried.append(type(picture).__name__)
            return []

    seconds = iter(range(1_000))
    monkeypatch.setattr("time.thread_time", lambda: next(seconds))
    monkeypatch.setattr("vitale_drivers.decoding.cascade.STAGES", (Blind(), Blind(), Blind()))
    np.save(tmp_path / "0.npy", np.zeros((48, 64), np.uint8))
    work(tmp_path, 2)
    assert ["Picture"] * 6 == tried


#: Does several pieces of work, each as the program would by itself.
ALL = """
import runpy, sys
program, folder, *items = sys.argv[1:]
for each in items:
    item, _, count = each.partition("=")
    sys.argv[1:] = item, folder, count
    runpy.run_path(program, run_name="__main__")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the daemon is asked on its Unix socket")
def test_the_work_can_be_done(tmp_path: Path) -> None:
    items = ("prepare=0", *(f"{one.name}={min(one.few + 1, 3)}" for one in ITEMS))
    done = subprocess.run(
        (sys.executable, "-P", "-c", ALL, yardstick.WORKLOAD, str(tmp_path), *items),
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(items) == len(done.stdout.splitlines())
    assert all(float(said) > 0 for said in done.stdout.splitlines())
