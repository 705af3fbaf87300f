"""The windows of the examples read, give up and close, on a screen that nobody sees."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.fake_daemon import FakeDaemon, Talk
from vitale_protocol.errors import VitaleError
from vitale_protocol.methods import Result
from vitale_protocol.session.session import Called

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"

# What a hand would do: read; read again and give up; read once more and close the window while that waits. Each step
# waits for what is to be seen; a step that never comes is ended by the time limit of the test.
HAND = """
import importlib.util, sys
import vitale_reader
spec = importlib.util.spec_from_file_location("example", sys.argv[1])
example = importlib.util.module_from_spec(spec)
spec.loader.exec_module(example)

def hand(window, press, shown, stop):
    press(window.read_button)
    while "Zoé" not in shown(): yield
    while window.read_again() is False: yield
    print("read", flush=True)
    press(window.read_button)
    yield
    sys.stdin.readline()
    press(window.cancel_button)
    while "Lecture annulée" not in shown(): yield
    while window.read_again() is False: yield
    print("cancelled", flush=True)
    press(window.read_button)
    yield
    sys.stdin.readline()
    stop()
    print("closed", flush=True)
"""

TK = """
import tkinter as tk
with vitale_reader.connect() as reader:
    root = tk.Tk()
    window = example.Window(root, reader)
    window.read_again = lambda: str(window.read_button["state"]) == "normal"
    steps = hand(window, lambda button: button.invoke(), window.text.get, window.close)
    def on():
        if next(steps, True) is None:
            root.after(10, on)
    root.after(10, on)
    root.mainloop()
"""

QT = """
from PySide6.QtCore import QTimer
application = example.QApplication([])
with vitale_reader.connect() as reader:
    window = example.Window(reader)
    window.show()
    window.read_again = window.read_button.isEnabled
    def stop():
        window.close()
        application.quit()
    steps = hand(window, lambda button: button.click(), window.label.text, stop)
    def on():
        if next(steps, True) is None:
            QTimer.singleShot(10, on)
    QTimer.singleShot(10, on)
    application.exec()
"""

#: What Qt loads of the system, also for windows that nobody sees; others come with these, or with what OpenCV loads.
QT_LOADS = {
    "libEGL.so.1": "libegl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libfontconfig.so.1": "libfontconfig1",
    "libdbus-1.so.3": "libdbus-1-3",
}


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """A screen of an X server of the tests' own."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed (Debian: xvfb), and a window needs a screen")
    command = [program, "-displayfd", "1", "-screen", "0", "800x600x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        try:
            yield f":{server.stdout.readline().strip()}"
        finally:
            server.terminate()


def drive(name: str, loop: str, environ: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory(prefix="vr-") as folder:
        daemon = FakeDaemon(Path(folder))
        answer = daemon.handlers["presentation.request"]

        def first_only(talk: Talk, call: Called) -> Result | VitaleError | None:
            return None if daemon.named("presentation.request") else answer(talk, call)

        daemon.handlers["presentation.request"] = first_only
        daemon.start()
        environ = {**os.environ, **environ, "VITALE_READER_HOME": folder, "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-c", HAND + loop, str(EXAMPLES / name)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, env=environ, stdin=pipe, stdout=pipe, stderr=pipe, encoding="utf-8") as window:
            try:
                assert window.stdin is not None
                for count in (2, 3):
                    daemon.wait_for("presentation.request", count)
                    window.stdin.write("go on\n")
                    window.stdin.flush()
                said, complained = window.communicate(timeout=60)
            finally:
                window.kill()
                daemon.close()
        assert (["read", "cancelled", "closed"], 0) == (said.split(), window.returncode), complained
        assert "Traceback" not in complained
        assert len(daemon.named("presentation.request")) == 3
        assert daemon.named("presentation.cancel")


def test_tk(display: str) -> None:
    if importlib.util.find_spec("tkinter") is None or importlib.util.find_spec("_tkinter") is None:
        pytest.skip("this Python has no Tk (Debian: python3-tk)")
    drive("gui_tk.py", TK, {"DISPLAY": display})


def test_qt() -> None:
    if importlib.util.find_spec("PySide6") is None:
        pytest.skip("PySide6 is not installed: [test] has it for Linux on x86-64 (`pip install PySide6-Essentials`)")
    for library, package in QT_LOADS.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            pytest.skip(f"{library} is not installed (Debian: {package}), and Qt loads it")
    drive("gui_qt.py", QT, {"QT_QPA_PLATFORM": "offscreen"})
