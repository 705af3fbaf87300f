"""What starting loads: the SDK and the command line stay light."""

import json
import subprocess
import sys
from pathlib import Path

# Grows only on purpose: each entry is a top-level package outside the standard library.
SDK_MAY_LOAD = {"vitale_reader"}
CONNECTING_MAY_LOAD = {
    "cffi",
    "_cffi_backend",
    "_openssl",
    "cryptography",
    "msgspec",
    "platformdirs",
    "typing_extensions",
} | {
    "vitale_protocol",
    "vitale_reader",
}
HELP_MAY_LOAD = {"click", "platformdirs", "vitale_reader"}

LISTING = """
import json, sys
tops = {name.partition(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps(sorted(tops - {"__main__", "__mp_main__"})))
"""


def loaded_after(statement: str) -> set[str]:
    """Top-level packages outside the standard library that a fresh interpreter holds after a statement."""
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys\n{statement}\n{LISTING}"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return set(json.loads(answer.stdout.splitlines()[-1])) - loaded_by_nothing()


def loaded_by_nothing() -> set[str]:
    """What the installation itself loads at every start (``.pth`` files)."""
    answer = subprocess.run([sys.executable, "-c", LISTING], capture_output=True, text=True, timeout=100, check=True)
    return set(json.loads(answer.stdout))


def test_importing_the_sdk_loads_nothing() -> None:
    assert loaded_after("import vitale_reader") <= SDK_MAY_LOAD


def test_connecting_loads_no_device_library_no_store_and_nothing_that_verifies() -> None:
    loaded = loaded_after("import vitale_reader; vitale_reader.connect; vitale_reader.aio; vitale_reader.verify")

    assert loaded <= CONNECTING_MAY_LOAD


def test_help_loads_no_more_than_it_shows() -> None:
    run_help = """
import io, contextlib
from vitale_reader.cli import main
sys.argv = ["vitale-reader", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
assert {"ctypes", "json", "plistlib", "tomllib"}.isdisjoint(sys.modules), "too much"
"""
    assert loaded_after(run_help) <= HELP_MAY_LOAD


def test_a_native_host_loads_no_cryptography_and_no_event_loop() -> None:
    start = (
        "import vitale_reader.cli.web.native_host\n"
        "assert {'asyncio', 'vitale_protocol.methods'}.isdisjoint(sys.modules), 'too much'"
    )

    assert loaded_after(start) <= {"msgspec", "platformdirs", "typing_extensions", "vitale_protocol", "vitale_reader"}


def test_the_daemon_loads_no_device_library() -> None:
    loaded = loaded_after("import vitale_reader.daemon.app")

    assert loaded.isdisjoint({"smartcard", "nfc", "serial", "cv2", "numpy", "click", "rich"})


# What a desk holds only once somebody wants it; a room stands for all that is in it.
OF_WEB_PAGES = {"vitale_protocol.web.handshake", "vitale_protocol.web.channels"} | {
    f"vitale_reader.daemon.transports.{name}" for name in ("channels", "gateway", "loopback", "pages")
}
OF_A_SITE = {"psycopg", "vitale_protocol.web.registration"} | {
    f"vitale_reader.daemon.{name}"
    for name in ("database.postgresql", "database.target", "site.stations", "store.spool", "store.spool_replay")
}
OF_FIGURES = {"opentelemetry", "vitale_protocol.metrics", "vitale_reader.daemon.metrics", "vitale_reader.daemon.traces"}
OF_SOME_PRESENTATIONS = {"httpx", "lxml", "vitale_protocol.media"}
OF_MEDIA_BUT_CARDS = {f"vitale_protocol.media.{name}" for name in ("apcv", "codes", "ins_datamatrix", "two_d_doc")}
NEVER = {"joserfc", "pydoc", "stdnum", "unicodedata"}
ONCE = {"alembic", "cryptography.x509", "cryptography.hazmat.primitives.serialization"}

SERVE = """
import asyncio, json, sys
from pathlib import Path
from vitale_reader.daemon.app import running
from vitale_reader.daemon.config import parse
from vitale_reader.home import Home

home, config = Home.under(Path(sys.argv[1])), parse("[drivers]\\nenabled = []\\n[tls]\\nport = 0")

async def serve():
    async with running(home, config):
        pass

asyncio.run(serve())
if sys.argv[2:]:
    from vitale_protocol import media
print(json.dumps(sorted(sys.modules)))
"""


def held_by_a_desk(folder: Path, *presentation: str) -> set[str]:
    """Modules and rooms that a desk alone holds while it serves."""
    command = [sys.executable, "-c", SERVE, str(folder), *presentation]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return set(json.loads(answer.stdout))


def test_a_desk_holds_nothing_that_nobody_has_asked_it_for(tmp_path: Path) -> None:
    first, again = held_by_a_desk(tmp_path), held_by_a_desk(tmp_path)

    unasked = OF_WEB_PAGES | OF_A_SITE | OF_FIGURES | OF_SOME_PRESENTATIONS | NEVER
    assert (first & unasked, again & (unasked | ONCE)) == (set(), set())
    assert "cryptography.x509" in first, "these names can be seen"


def test_a_card_loads_the_parsers_of_cards_alone(tmp_path: Path) -> None:
    held = held_by_a_desk(tmp_path, "presentation")

    assert held & (OF_MEDIA_BUT_CARDS | NEVER) == set()
    assert "vitale_protocol.media.vitale_card" in held


def test_these_tests_can_see_a_heavy_import() -> None:
    assert "sqlalchemy" in loaded_after("import sqlalchemy")


# Which exception msgspec raises for bytes that are not UTF-8 differs from version to version; these look first, or
# catch either.
ASK_MSGSPEC = {"documents.py", "images.py", "jsonrpc.py", "pipe.py", "scenario.py"}


def test_what_is_not_json_is_caught_where_no_version_of_msgspec_matters(root: Path) -> None:
    rooms = ("vitale_reader", "drivers", "protocol", "firmware-sim")
    files = (file for room in rooms for file in (root / room).rglob("*.py"))

    assert {file.name for file in files if "msgspec.DecodeError" in file.read_text("utf-8")} == ASK_MSGSPEC
