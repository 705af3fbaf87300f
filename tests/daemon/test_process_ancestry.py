"""Orphans of drivers: what has ended is waited for, and what left its driver's session is ended; nothing else is."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems give no orphans to the daemon")

#: A daemon that adopts, with a child that leads a session, as a driver does, and leaves an orphan of the kind wanted.
DAEMON = """
import json, os, signal, subprocess, sys, time
from vitale_reader.daemon.process_ancestry import Orphans
from vitale_reader.daemon.process import adopts, keep_to_itself

keep_to_itself()
older = subprocess.Popen(["sleep", "600"], start_new_session=True)
WORKER = '''
import ctypes, os, sys
confined, escapes, ends = (word == "1" for word in sys.argv[1:4])
if confined:
    ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
if os.fork() == 0:
    if escapes:
        os.setsid()
    if os.fork() == 0:
        if ends:
            os._exit(0)
        os.execvp("sleep", ["sleep", "600"])
    os._exit(0)
os.wait()
print("left", flush=True)
sys.stdin.read()
'''
orphans = Orphans(adopts=adopts(), init=sys.argv[4] == "1")
worker = subprocess.Popen(
    [sys.executable, "-c", WORKER, *sys.argv[1:4]],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
)
own = subprocess.Popen(["sleep", "600"])
assert worker.stdout.readline() == b"left\\n"

def children():
    return set(map(int, open(f"/proc/self/task/{os.getpid()}/children").read().split()))

mine = {older.pid, worker.pid, own.pid}
(orphan,) = children() - mine
end = time.monotonic() + 60
if sys.argv[3] == "1":
    while open(f"/proc/{orphan}/stat").read().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < end:
        pass
rounds = [orphans.sweep({worker.pid})]
while rounds[-1] and time.monotonic() < end:
    rounds.append(orphans.sweep({worker.pid}))
with_worker = sorted(children() - mine) == [orphan]
kept = {older.pid, worker.pid, own.pid} <= children() and older.poll() is own.poll() is worker.poll() is None
worker.stdin.close()
worker.wait()
while orphans.sweep(()) and time.monotonic() < end:
    pass
without_worker = sorted(children() - mine) == [orphan]
for each in {older.pid, own.pid, *(children())}:
    os.kill(each, signal.SIGKILL)
print(json.dumps([with_worker, without_worker, kept]))
"""


def swept(*, confined: bool, escapes: bool, ends: bool, init: bool = False) -> tuple[bool, bool, bool]:
    """Whether the orphan is there after a sweep while its driver lives, and after it ended; whether others are kept."""
    arguments = [str(int(each)) for each in (confined, escapes, ends, init)]
    program = [sys.executable, "-c", DAEMON, *arguments]
    done = subprocess.run(program, capture_output=True, text=True, timeout=100, check=True)
    there, later, kept = (word.strip() == "true" for word in done.stdout.strip().strip("[]").split(","))
    return there, later, kept


@pytest.mark.parametrize("confined", [True, False])
@pytest.mark.parametrize("escapes", [True, False])
def test_an_orphan_that_has_ended_is_waited_for(confined: bool, escapes: bool) -> None:
    assert swept(confined=confined, escapes=escapes, ends=True) == (False, False, True)


def test_an_orphan_in_its_drivers_session_lives_as_long_as_its_driver() -> None:
    assert swept(confined=True, escapes=False, ends=False) == (True, False, True)


def test_an_orphan_that_left_its_drivers_session_is_ended() -> None:
    assert swept(confined=True, escapes=True, ends=False) == (False, False, True)


def test_what_is_no_drivers_is_let_be() -> None:
    assert swept(confined=False, escapes=True, ends=False) == (True, True, True)


def test_the_first_process_of_a_container_lets_all_be() -> None:
    assert swept(confined=True, escapes=True, ends=False, init=True) == (True, True, True)
