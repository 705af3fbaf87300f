"""The parts of the product that only Windows has, on Windows itself; elsewhere this file has no test.

What they do is played on other systems by stand-ins (``test_other_systems.py``); here are the real calls.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vitale_protocol.errors import StoreUnavailable

PATIENCE = 30.0


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until something is so."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


if sys.platform == "win32":
    import winreg

    from vitale_drivers.camera.system import cameras_of_programs, forbidden_by_privacy, listed_cameras
    from vitale_drivers.pcsc.system import device_serial, is_redirected
    from vitale_reader import access_lists
    from vitale_reader.atomic_files import remove, write_atomically
    from vitale_reader.cli.frame.system_language import system_language
    from vitale_reader.client.pairing import Pairing
    from vitale_reader.daemon.keystore.private_files import open_to_others, private_folder
    from vitale_reader.daemon.lifecycle import exclusive
    from vitale_reader.daemon.store.machine_run import boot, steady
    from vitale_reader.daemon.workers.holders import find_holders
    from vitale_reader.daemon.workers.offspring import WITHOUT_WINDOW, Offspring
    from vitale_reader.home import Home
    from vitale_reader.service.machine import Machine
    from vitale_reader.service.services import service
    from vitale_reader.service.steps import carried_out
    from vitale_reader.web.native import registry

    EVERYONE = "*S-1-1-0"

    def grant(path: Path, what: str) -> None:
        subprocess.run(("icacls", str(path), "/grant", f"{EVERYONE}:{what}"), check=True, capture_output=True)

    def test_the_run_of_the_machine_has_a_name_and_its_seconds_go_on() -> None:
        assert (36, boot()) == (len(boot()), boot())
        told = (sys.executable, "-c", "from vitale_reader.daemon.store.machine_run import boot; print(boot())")
        assert subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip() == boot()
        assert 0 < steady() <= steady()

    def test_this_user_has_a_sid_and_owns_what_it_makes(tmp_path: Path) -> None:
        sid, named = access_lists.this_user()
        assert sid.startswith("S-1-5-")
        file = tmp_path / "mine"
        file.touch()
        assert not access_lists.look(file).is_foreign(named)

    def test_a_folder_is_closed_and_what_is_made_in_it_inherits_that(tmp_path: Path) -> None:
        folder = tmp_path / "état"
        folder.mkdir()
        grant(folder, "(OI)(CI)R")
        (folder / "before").write_bytes(b"key")
        me = access_lists.this_user()[1]
        assert access_lists.look(folder).others(me, access_lists.READ) == ("WD",)
        private_folder(folder)
        write_atomically(folder / "after", b"key")
        for path in (folder, folder / "before", folder / "after"):
            assert access_lists.look(path).others(me) == ()
            assert not open_to_others(path)
        assert (folder / "before").read_bytes() == b"key"

    def test_a_junction_in_a_private_folder_is_refused(tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "state").mkdir()
        link = tmp_path / "state" / "tls"
        subprocess.run(("cmd", "/c", "mklink", "/J", str(link), str(tmp_path / "elsewhere")), check=True)
        with pytest.raises(StoreUnavailable) as refused:
            private_folder(tmp_path / "state")
        assert refused.value.variant == "foreign_folder"

    def test_a_pairing_file_in_an_open_folder_is_closed(tmp_path: Path) -> None:
        grant(tmp_path, "(OI)(CI)R")
        Pairing(client_id="c").save(tmp_path / "desk.pairing.json")
        assert not open_to_others(tmp_path / "desk.pairing.json")

    def test_what_a_worker_started_ends_with_its_job(tmp_path: Path) -> None:
        told = tmp_path / "pid"
        program = (
            "import subprocess, sys, time, pathlib; sys.stdin.read(1); "
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); "
            "pathlib.Path(sys.argv[1]).write_text(str(child.pid)); time.sleep(600)"
        )
        with subprocess.Popen(
            (sys.executable, "-c", program, str(told)), stdin=subprocess.PIPE, creationflags=WITHOUT_WINDOW
        ) as worker:
            offspring = Offspring(worker.pid)
            assert worker.stdin is not None
            worker.stdin.write(b"x")
            worker.stdin.flush()
            eventually(lambda: told.exists() and told.read_text() != "")
            offspring.end()
            worker.wait(PATIENCE)
        eventually(lambda: not is_running(int(told.read_text())))

    def test_a_driver_is_the_interpreter_itself_and_not_the_launcher_of_a_virtual_environment(tmp_path: Path) -> None:
        made = (sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(tmp_path / "made"))
        subprocess.run(made, check=True)
        program = (
            "import asyncio, sys\n"
            "from vitale_reader.daemon.workers.child_process import begun\n"
            "async def main():\n"
            "    child = await begun((sys.executable, '-c', 'import os, sys; print(os.getpid(), sys.prefix)'))\n"
            "    pid, prefix = (await child.stdout.read()).decode().split(maxsplit=1)\n"
            "    print(int(pid) == child.pid, prefix.strip() == sys.prefix, await child.wait())\n"
            "    child.close()\n"
            "asyncio.run(main())\n"
        )
        python = tmp_path / "made" / "Scripts" / "python.exe"
        done = subprocess.run((str(python), "-c", program), check=False, capture_output=True, text=True)
        assert ("True True 0", "") == (done.stdout.strip(), done.stderr)

    def is_running(pid: int) -> bool:
        listed = subprocess.run(("tasklist", "/FI", f"PID eq {pid}", "/NH"), check=True, capture_output=True, text=True)
        return str(pid) in listed.stdout

    def test_a_home_is_one_process_s_and_its_lock_file_can_be_read(tmp_path: Path) -> None:
        ask = (
            "import sys, pathlib; from vitale_reader.daemon.lifecycle import exclusive; "
            "from vitale_reader.home import Home\n"
            "with exclusive(Home.under(pathlib.Path(sys.argv[1]))): pass"
        )
        with exclusive(Home.under(tmp_path)):
            other = subprocess.run((sys.executable, "-c", ask, str(tmp_path)), check=False, capture_output=True)
            assert b"DaemonRunning" in other.stderr
            assert (tmp_path / "state" / "daemon.lock").read_text("ascii").isdecimal()

    def test_a_file_that_somebody_has_open_is_waited_for(tmp_path: Path) -> None:
        file = tmp_path / "endpoints.json"
        file.write_bytes(b"before")
        hold = "import sys, time; open(sys.argv[1], 'rb'); f = open(sys.argv[1], 'rb'); print('held', flush=True); "
        with subprocess.Popen(
            (sys.executable, "-c", f"{hold}time.sleep(0.5)", str(file)), stdout=subprocess.PIPE
        ) as other:
            assert other.stdout is not None
            other.stdout.readline()
            write_atomically(file, b"after")
            other.wait(PATIENCE)
        assert file.read_bytes() == b"after"
        remove(file)
        assert not file.exists()

    def test_the_registry_and_the_language_are_asked_without_a_fault() -> None:
        assert isinstance(cameras_of_programs(), tuple)
        assert forbidden_by_privacy() in {True, False}
        assert isinstance(listed_cameras(), tuple)
        assert system_language() in {"fr", "en"}
        with pytest.raises(OSError, match="WinError 2"):
            winreg.OpenKey(winreg.HKEY_CURRENT_USER, "SOFTWARE\\vitale-reader\\nothing")

    def test_browsers_are_told_by_the_registry_and_nothing_is_left_behind() -> None:
        top = "Software\\vitale-reader-tests"
        key = f"{top}\\NativeMessagingHosts\\vitale_reader"
        assert registry.pointed(key, everyone=False) == ""
        registry.point(key, "C:\\a.json", everyone=False)
        assert registry.pointed(key, everyone=False) == "C:\\a.json"
        assert [registry.forget(key, everyone=False) for _ in range(2)] == [True, False]
        with pytest.raises(OSError, match="WinError 2"):
            winreg.OpenKey(winreg.HKEY_CURRENT_USER, top)

    def test_a_program_that_has_loaded_the_library_of_cards_is_named() -> None:
        program = "import ctypes, sys; ctypes.WinDLL('winscard'); print('loaded', flush=True); sys.stdin.read()"
        with subprocess.Popen(
            (sys.executable, "-c", program), stdin=subprocess.PIPE, stdout=subprocess.PIPE, creationflags=WITHOUT_WINDOW
        ) as user:
            assert user.stdout is not None
            assert user.stdin is not None
            user.stdout.readline()
            named = find_holders("pcsc", {os.getpid()})
            user.stdin.close()
            user.wait(PATIENCE)
        # A virtual environment's python.exe starts another of the same name.
        assert Path(sys.executable).stem in named

    def test_winscard_is_asked_for_the_device_of_a_reader_that_is_not_there() -> None:
        assert device_serial(0, "no such reader") == ""
        assert is_redirected(0, "no such reader") in {True, False}

    def test_the_task_scheduler_takes_the_task_tells_it_and_forgets_it(tmp_path: Path) -> None:
        machine = Machine(temporary=tmp_path, program=(sys.executable, "-c", "pass"))
        found = service("user", machine)
        # All but its start: whoever runs tests need not be logged in.
        list(carried_out(list(found.install())[:-1], machine.run))
        try:
            state = found.state()
            assert (True, sys.executable, False) == (state.installed, state.program, state.program_missing)
        finally:
            list(carried_out(found.uninstall(), machine.run))
        assert not found.state().installed
