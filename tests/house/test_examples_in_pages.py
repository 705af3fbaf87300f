"""What a page tells its reader to do is done, in order, in an empty home; what it shows is what comes out.

A comment before a fenced block says what to do with it:

- ``<!-- run -->``: a shell block is executed; it must succeed.
- ``<!-- run: background -->``: it is started, and the page goes on when it has printed a line; it ends with the page.
- ``<!-- run: with PROGRAM -->``: executed where that program is installed; elsewhere it is left out, with its output.
- ``<!-- run: NAME -->``: the block is saved as a file of that name.
- ``<!-- output -->``: what the block before printed. ``…`` stands for anything within a line; alone, for any lines.
- ``<!-- output: at last -->``: what it prints when it is run again and again, as the page advises.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: For one block of a page, on a busy machine.
PATIENCE = 100.0
STEP = re.compile(
    r"^<!-- (run(?:: (?:with )?[\w.-]+)?|output(?:: at last)?) -->\n```(\w*)\n(.*?)^```$",
    flags=re.MULTILINE | re.DOTALL,
)
PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md")])
    if "_build" not in page.parts and STEP.search(page.read_text(encoding="utf-8"))
]


@dataclass(frozen=True)
class Step:
    """A block with what is to be done with it."""

    do: str
    text: str


def steps(page: Path, folder: Path) -> list[Step]:
    """What a page says; its temporary files lie in a folder of this run's own."""
    found = STEP.findall(page.read_text(encoding="utf-8"))
    return [Step(do, text.replace("/tmp/", f"{folder}/")) for do, _, text in found]


def matches(expected: str, printed: str) -> bool:
    """Whether a text is as expected, where ``…`` stands for what cannot be known."""
    pattern = "\n".join(
        "(?s:.*)" if line == "…" else re.escape(line).replace("…", ".*") for line in expected.rstrip().splitlines()
    )
    return re.fullmatch(pattern, printed.rstrip()) is not None


@contextmanager
def background(text: str, folder: Path, environ: dict[str, str]) -> Generator[None]:
    """A program that runs for the rest of the page."""
    with subprocess.Popen(
        ["sh", "-euc", f"exec {text}"], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), "ended without printing anything"
            yield
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE)


def execute(text: str, folder: Path, environ: dict[str, str]) -> str:
    """Runs a shell block, which must succeed; returns what it printed."""
    answer = subprocess.run(
        ["sh", "-eu", "-c", text],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert answer.returncode == 0, f"{text}\n{answer.stdout}{answer.stderr}"
    return answer.stdout


def execute_until(expected: str, text: str, folder: Path, environ: dict[str, str]) -> str:
    """Runs a shell block until it prints what is expected; returns what it printed last."""
    end, pause = time.monotonic() + PATIENCE, threading.Event()
    while not matches(expected, printed := execute(text, folder, environ)) and time.monotonic() < end:
        pause.wait(0.1)
    return printed


def follow(page: Path, folder: Path, environ: dict[str, str]) -> int:
    """Does what a page says; returns how many outputs were compared."""
    printed: str | None = ""
    ran, compared = "", 0
    with ExitStack() as running:
        for step in steps(page, folder):
            match step.do.replace(":", "").split():
                case ["run", "with", program] if shutil.which(program) is None:
                    printed = None
                case ["run"] | ["run", "with", _]:
                    ran, printed = step.text, execute(step.text, folder, environ)
                case ["run", "background"]:
                    running.enter_context(background(step.text, folder, environ))
                case ["run", name]:
                    (folder / name).write_text(step.text, encoding="utf-8")
                case _ if printed is None:
                    continue
                case _:
                    if step.do == "output: at last":
                        printed = execute_until(step.text, ran, folder, environ)
                    assert matches(step.text, printed), f"expected:\n{step.text}\nprinted:\n{printed}"
                    compared += 1
    return compared


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A reader's environment: the installed commands first, an empty home."""
    (tmp_path / "home").mkdir()
    (tmp_path / "station").mkdir()
    # Beside a daemon that holds the usual port, a page must work as well.
    (tmp_path / "station" / "config.toml").write_text("[tls]\nport = 0\n", encoding="utf-8")
    programs = str(Path(sys.executable).parent)
    return {
        "HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join((programs, os.environ.get("PATH", os.defpath))),
        "PYTHONUTF8": "1",
        "VITALE_READER_HOME": str(tmp_path / "station"),
    }


@pytest.mark.slow
@pytest.mark.timeout(6 * PATIENCE)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_page_can_be_followed(page: Path, tmp_path: Path, environ: dict[str, str]) -> None:
    folder = tmp_path / "here"
    folder.mkdir()

    follow(page, folder, environ)


def test_the_tutorial_is_among_them() -> None:
    assert "first-token.md" in {page.name for page in PAGES}


def page_of(folder: Path, text: str) -> Path:
    page = folder / "page.md"
    page.write_text(text, encoding="utf-8")
    return page


def test_a_failing_command_is_found(tmp_path: Path, environ: dict[str, str]) -> None:
    with pytest.raises(AssertionError, match="no-such-command"):
        follow(page_of(tmp_path, "<!-- run -->\n```sh\nno-such-command\n```\n"), tmp_path, environ)


def test_an_output_that_comes_in_the_end_is_waited_for(tmp_path: Path, environ: dict[str, str]) -> None:
    text = "<!-- run -->\n```sh\necho -n x >>file; cat file\n```\n\n<!-- output: at last -->\n```text\nxxx\n```\n"
    assert 1 == follow(page_of(tmp_path, text), tmp_path, environ)


def test_another_output_is_found(tmp_path: Path, environ: dict[str, str]) -> None:
    text = "<!-- run -->\n```sh\necho one\n```\n\n<!-- output -->\n```text\ntwo\n```\n"
    with pytest.raises(AssertionError, match="expected"):
        follow(page_of(tmp_path, text), tmp_path, environ)


@pytest.mark.parametrize(
    ("expected", "printed", "result"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\nb", "a\nc\n", False),
        ("a…c", "abbbc", True),
        ("a…c", "ab\nc", False),
        ("a\n…\nz", "a\n1\n2\nz", True),
        ("a", "a\nb", False),
    ],
)
def test_wildcards(expected: str, printed: str, result: bool) -> None:
    assert matches(expected, printed) is result


def test_the_page_of_graphical_programs_shows_what_the_examples_run() -> None:
    page = (ROOT / "docs" / "how-to" / "read-in-a-gui.md").read_text("utf-8")
    shown = [block.partition("```")[0] for block in page.split("```python\n")[1:]]
    programs = [(ROOT / "examples" / name).read_text("utf-8") for name in ("gui_tk.py", "gui_qt.py")]
    assert len(shown) >= 2
    for block in shown:
        as_method = textwrap.indent(block, "    ")
        assert any(block in program or as_method in program for program in programs), block
