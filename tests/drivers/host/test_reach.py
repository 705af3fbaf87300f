"""What a confined process can open, and what came later that only a new process can."""

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.posix import posix_only
from vitale_drivers.host.confinement import landlock_version
from vitale_drivers.host.reach import Reach, named_paths

CONFINED = """
import os, sys
from vitale_drivers.host import confinement
from vitale_drivers.host.confinement import confine
# Not the folder of all tests, which lies where temporary files are.
confinement.WRITABLE = ("/dev",)
hidden, *named = sys.argv[1:]
reach = confine([hidden], named)
print(reach is not None, flush=True)
for line in sys.stdin:
    path = line.rstrip()
    try:
        # Without waiting for whoever writes into a pipe; for writing where it is a device.
        os.close(os.open(path, os.O_NONBLOCK | (os.O_RDWR if "tty" in path else os.O_RDONLY)))
        how = "opened"
    except OSError as error:
        how = os.strerror(error.errno)
    print(f"{how} {reach.has_lost_one()}", flush=True)
"""

DENIED = "Permission denied"

pytestmark = posix_only()
assert sys.platform != "win32"

confined_only = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")


@contextmanager
def confined(hidden: Path, *named: Path) -> Generator[Callable[[Path], tuple[str, bool]]]:
    """A confined process: whether it opens a path, and whether it says that only a new one could."""
    with subprocess.Popen(
        [sys.executable, "-c", CONFINED, str(hidden), *map(str, named)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # Its temporary files are its own, as a worker's are: not the folder of all tests.
        env={**os.environ, "TMPDIR": str(hidden.parent / "tmp")},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        source, sink = process.stdout, process.stdin
        assert source.readline() == "True\n"

        def opens(path: Path) -> tuple[str, bool]:
            sink.write(f"{path}\n")
            sink.flush()
            how, _, lost = source.readline().strip().rpartition(" ")
            return how, lost == "True"

        yield opens


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """The daemon's own folder; what lies beside it is allowed one by one."""
    (tmp_path / "tmp").mkdir()
    (tmp_path / "beside").mkdir()
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


def make_file(path: Path) -> None:
    path.write_text("new")


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_link(path: Path) -> None:
    """A link to a device, as udev and simulators make them."""
    path.symlink_to(os.devnull)


def make_replacement(path: Path) -> None:
    """A file that takes the place of another by a new name."""
    (path.parent / "part").write_text("new")
    (path.parent / "part").rename(path)


def make_folder(path: Path) -> None:
    path.mkdir()


KINDS = [make_file, make_pipe, make_link, make_replacement]


@confined_only
@pytest.mark.parametrize("make", KINDS)
def test_what_is_made_later_in_a_folder_that_was_allowed_is_in_reach(
    hidden: Path, make: Callable[[Path], None]
) -> None:
    path = hidden.parent / "beside" / "device"
    with confined(hidden, path) as opens:
        assert opens(path) == ("No such file or directory", False)
        make(path)
        assert opens(path) == ("opened", False)


@confined_only
@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("before", ["absent", "there"])
def test_what_is_made_later_beside_the_daemons_own_is_told_and_opened_by_the_next(
    hidden: Path, make: Callable[[Path], None], before: str
) -> None:
    path = hidden.parent / "device"
    if before == "there":
        path.write_text("old")
    with confined(hidden, path) as opens:
        assert opens(path) == (("opened" if before == "there" else "No such file or directory"), False)
        path.unlink(missing_ok=True)
        make(path)
        # A link is only a name: the device that it leads to was allowed with /dev.
        assert opens(path) == (("opened", False) if make is make_link else (DENIED, True))
    with confined(hidden, path) as opens:
        assert opens(path) == ("opened", False)


@confined_only
def test_a_folder_that_is_made_later_is_told_with_what_is_in_it(hidden: Path) -> None:
    path = hidden.parent / "later" / "device"
    with confined(hidden, path) as opens:
        path.parent.mkdir()
        assert opens(path) == ("No such file or directory", False)
        path.write_text("new")
        assert opens(path) == (DENIED, True)


@confined_only
def test_what_no_option_names_is_not_told(hidden: Path) -> None:
    with confined(hidden, hidden.parent / "another") as opens:
        (hidden.parent / "device").write_text("new")
        assert opens(hidden.parent / "device") == (DENIED, False)


@confined_only
@pytest.mark.parametrize("by_link", [False, True])
def test_an_option_opens_no_way_to_the_daemons_own(hidden: Path, by_link: bool) -> None:
    key, named = hidden / "key", hidden / "key"
    if by_link:
        named = hidden.parent / "link"
    with confined(hidden, named) as opens:
        key.write_text("secret")
        if by_link:
            named.symlink_to(key)
        # Another process could open it no more than this one: it is not asked for.
        assert opens(named) == (DENIED, False)
    with confined(hidden, named) as opens:
        assert opens(named) == (DENIED, False)


@confined_only
def test_a_terminal_that_is_made_later_is_opened_through_its_link(hidden: Path) -> None:
    link = hidden.parent / "ttyIMAGER"
    with confined(hidden, link) as opens:
        leader, follower = os.openpty()
        link.symlink_to(os.ttyname(follower))
        assert opens(link) == ("opened", False)
        link.unlink()
        others = os.openpty()
        link.symlink_to(os.ttyname(others[1]))
        assert opens(link) == ("opened", False)
        for each in (leader, follower, *others):
            os.close(each)


@confined_only
def test_a_device_outside_dev_is_written_by_the_process_that_began_after_it(hidden: Path) -> None:
    path = hidden.parent / "beside" / "ttyNODE"
    try:
        os.mknod(path.with_name("try"), 0o600 | 0o020000, os.makedev(1, 3))
        os.close(os.open(path.with_name("try"), os.O_RDWR))
    except PermissionError:
        pytest.skip("only an administrator makes devices, where the file system has them")
    with confined(hidden, path) as opens:
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 3))
        assert opens(path) == (DENIED, True)
    with confined(hidden, path) as opens:
        assert opens(path) == ("opened", False)


def test_the_paths_in_options_are_found_at_any_depth() -> None:
    options = {
        "devices": ["/dev/ttyUSB0", "usb:0c2e", "COM3", "http://localhost/x"],
        "more": {"deep": ({"folder": "/srv/codes"},), "number": 3, "none": None},
        "text": "/not\na path",
        "again": "/srv/codes",
    }
    assert named_paths(options) == ("/dev/ttyUSB0", "/srv/codes")


def test_a_socket_needs_no_reach(tmp_path: Path) -> None:
    import socket

    path = tmp_path / "socket"
    reach = Reach([str(path)], [])
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))
        assert not reach.has_lost_one()


def test_what_was_there_and_not_allowed_is_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "device"
    path.touch()
    reach = Reach([str(path)], [])
    assert not reach.has_lost_one(), "the next process would fare no better"
    path.with_name("part").touch()
    path.with_name("part").rename(path)
    assert reach.has_lost_one()
    reach.allow(tmp_path.stat(), read=True, write=False)
    assert not reach.has_lost_one()


def test_devices_are_watched_where_their_folder_was_not_allowed_as_a_whole() -> None:
    reach = Reach(["/dev/ttyUSB0", "/dev/serial/by-id/imager"], [Path("/dev/shm/home")])
    assert reach.may_lose_one()
    reach.allow(Path("/dev").stat(), read=True, write=True)
    assert not reach.may_lose_one()
    assert Reach(["/srv/imager"], []).may_lose_one()
    assert not Reach([], []).may_lose_one()
