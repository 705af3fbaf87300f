"""A program that is forked is one that is executed: its end, its streams, its environment and its signals."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.warm_interpreter import WarmInterpreter


def test_a_program_has_arguments_an_environment_streams_and_an_end(
    interpreter: WarmInterpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # An interpreter that is executed where no locale is set adds LC_CTYPE by itself (PEP 538).
    code = (
        "import os, sys; os.environ.pop('LC_CTYPE', ''); print(sys.argv[1:], dict(os.environ), os.getcwd()); "
        "print('é', file=sys.stderr); sys.exit(3)"
    )
    done = interpreter.run("-c", code, "a", env={"ONE": "1"})
    assert (3, f"['a'] {{'ONE': '1'}} {tmp_path}\n", "é\n") == (done.returncode, done.stdout, done.stderr)


def test_a_module_is_run_as_the_program(interpreter: WarmInterpreter) -> None:
    done = interpreter.run("-m", "vitale_reader", "--version")
    assert (0, "") == (done.returncode, done.stderr)
    assert done.stdout.startswith("vitale-reader ")


def started_as(folder: Path, *arguments: str) -> list[str]:
    """What a program finds out of itself, and a module beside it: its arguments, its parent, its file."""
    said = subprocess.run(
        (sys.executable, *arguments, "one"),
        env=os.environ | {"PYTHONPATH": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.splitlines()


FINDS_OUT = """
# loads vitale_reader
import os, sys, beside
print(sys.argv, __name__, os.getcwd(), "forked" if beside.is_loaded("vitale_reader.daemon.app") else "executed")
"""
BESIDE = "import sys\ndef is_loaded(name): return name in sys.modules\n"


def test_programs_that_load_the_product_are_forked_and_find_what_they_are_given(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text(BESIDE)
    (tmp_path / "program.py").write_text(FINDS_OUT)
    # On other systems each program is executed.
    forked = "forked" if sys.platform == "linux" else "executed"
    assert [f"['-c', 'one'] __main__ {tmp_path} {forked}"] == started_as(tmp_path, "-c", FINDS_OUT)
    assert [f"['-c', 'one'] __main__ {tmp_path} {forked}"] == started_as(tmp_path, "-P", "-c", FINDS_OUT)
    # None of the tests' own, one that asks what is loaded, and one that finds another module in place of a loaded one.
    assert [f"['{tmp_path}/program.py', 'one'] __main__ {tmp_path} executed"] == started_as(
        tmp_path, str(tmp_path / "program.py")
    )
    assert [f"['-c', 'one'] __main__ {tmp_path} executed"] == started_as(tmp_path, "-c", FINDS_OUT + "sys.modules")
    (tmp_path / "vitale_protocol.py").write_text("")
    assert [f"['-c', 'one'] __main__ {tmp_path} executed"] == started_as(tmp_path, "-c", FINDS_OUT)


def test_a_fault_is_told_as_ever(interpreter: WarmInterpreter) -> None:
    done = interpreter.run("-c", "raise ValueError('bad')")
    assert (1, "ValueError: bad") == (done.returncode, done.stderr.splitlines()[-1])


def test_a_signal_ends_it_and_its_streams_are_closed(interpreter: WarmInterpreter) -> None:
    waits = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    with tempfile.TemporaryFile() as errors:
        program = interpreter.start("-c", waits, stdout=subprocess.PIPE, stderr=errors)
        other = interpreter.start("-c", waits, stdout=subprocess.DEVNULL, stderr=errors)
    assert program.stdout is not None
    with program.stdout as said:
        assert program.pid == int(said.readline())
        assert program.poll() is None
        program.terminate()
        assert said.read() == b"", "nobody else holds it open"
    assert -signal.SIGTERM == program.wait(60.0)
    other.kill()
    assert -9 == other.wait(60.0)


if sys.platform == "linux":
    from tests.forked_programs import ForkingInterpreter

    def test_an_answer_that_comes_late_is_not_taken_for_that_to_the_next_request() -> None:
        with contextlib.closing(ForkingInterpreter()) as forking:
            line = forking.begin()
            assert forking.process is not None
            os.kill(forking.process.pid, signal.SIGSTOP)
            line.settimeout(0.01)
            with pytest.raises(TimeoutError):
                forking.start(("-c", ""), None, None, None, os.environ)
            with contextlib.suppress(ProcessLookupError):
                os.kill(forking.process.pid, signal.SIGCONT)
            code = "import os; print(os.getpid())"
            program = forking.start(("-c", code), None, subprocess.PIPE, None, os.environ)
            assert program.stdout is not None
            with program.stdout as said:
                assert program.pid == int(said.readline())
            assert 0 == program.wait(60.0)
