"""The parts of the product that only macOS has, on macOS itself; elsewhere this file has no test.

What they do is played on other systems by stand-ins (``test_other_systems.py``); here are the real calls.
"""

import subprocess
import sys
from pathlib import Path

if sys.platform == "darwin":
    from vitale_drivers.camera.system import cameras_of_programs, forbidden_by_privacy, listed_cameras
    from vitale_reader.cli.frame.system_language import system_language
    from vitale_reader.daemon.store.machine_run import boot, steady
    from vitale_reader.service import launchd

    def test_cameras_privacy_and_the_language_are_asked_without_a_fault() -> None:
        assert isinstance(cameras_of_programs(), tuple)
        assert forbidden_by_privacy() in {True, False}
        assert isinstance(listed_cameras(), tuple)
        assert isinstance(system_language(), str)

    def test_the_run_of_the_machine_has_a_name_and_its_seconds_go_on() -> None:
        assert (36, boot()) == (len(boot()), boot())
        assert 0 < steady() <= steady()

    def test_the_system_takes_the_property_list_for_one(tmp_path: Path) -> None:
        file = tmp_path / "agent.plist"
        file.write_text(launchd.agent((sys.executable, "-c", "pass"), tmp_path), "utf-8")
        assert subprocess.run(("plutil", "-lint", str(file)), check=False, capture_output=True).returncode == 0
