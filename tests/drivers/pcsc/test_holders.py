"""Which programs use PC/SC, from a folder that looks like /proc."""

import os
from pathlib import Path

from vitale_drivers.pcsc.holders import programs_using_pcsc

LIBRARY = "7f00-7f01 r-xp 00000000 00:00 1 /usr/lib/x86_64-linux-gnu/libpcsclite.so.1.0.0\n"


def process(proc: Path, pid: int, name: str, maps: str | None) -> None:
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "comm").write_text(name + "\n")
    if maps is not None:
        (folder / "maps").write_text(maps)


def test_programs_with_the_library_are_named(tmp_path: Path) -> None:
    process(tmp_path, 11, "scdaemon", LIBRARY)
    process(tmp_path, 12, "opensc-tool", LIBRARY)
    process(tmp_path, 13, "scdaemon", LIBRARY)
    process(tmp_path, 14, "bash", "nothing\n")
    process(tmp_path, 15, "gone", None)
    process(tmp_path, os.getpid(), "ourselves", LIBRARY)
    (tmp_path / "self").mkdir()
    assert programs_using_pcsc(tmp_path) == ("opensc-tool", "scdaemon")


def test_where_there_is_no_proc_nobody_is_named(tmp_path: Path) -> None:
    assert programs_using_pcsc(tmp_path / "none") == ()
