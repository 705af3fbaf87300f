"""The page with a phone's screen: what it shows, who may ask for it, and that a browser draws a code that is read."""

import http.client
import io
import json
import random
import re
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from tests.clocks import Clock
from tests.real_folders import FOLDERS_ARE_REAL
from vitale_firmware_sim.card.unix import is_root
from vitale_firmware_sim.phone.application import QR_RENEWS_EVERY
from vitale_firmware_sim.phone.screen_page import PhoneScreen, lan_address
from vitale_firmware_sim.phone.states import UNLOCKED_FOR
from vitale_firmware_sim.phone.user import PhoneUser
from vitale_firmware_sim.scenario import load_scenario
from vitale_protocol.errors import ConfigurationInvalid

NAME = "Claire MERLE-ESSAI"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def screen_at(clock: Clock, phone: str = "claire", present_for: str = "", **options: object) -> PhoneScreen:
    phone_user = PhoneUser(
        load_scenario(), phone, clock=clock, random=random.Random(1).randbytes, present_for=present_for
    )
    return PhoneScreen(phone_user, NAME, clock=clock, **options)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def ask(
    screen: PhoneScreen, path: str = "", method: str = "GET", host: str | None = None
) -> tuple[http.client.HTTPResponse, bytes]:
    match = re.fullmatch(r"http://\[?([0-9.:]+?)\]?:(\d+)(/.*)", screen.url)
    assert match is not None
    connection = http.client.HTTPConnection(match[1], int(match[2]), timeout=30)
    connection.putrequest(method, match[3] + path, skip_host=host is not None)
    if host is not None:
        connection.putheader("Host", host)
    connection.endheaders()
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


def state(screen: PhoneScreen) -> dict[str, object]:
    response, content = ask(screen, "state.json")
    assert response.status == 200
    told: dict[str, object] = json.loads(content)
    return told


def read_svg(drawing: bytes) -> bytes:
    """What the code says: its strokes drawn as modules, and those decoded."""
    size = int(re.findall(rb'viewBox="0 0 (\d+)', drawing)[0])
    modules = np.full((size, size), 255, np.uint8)
    x = y = 0.0
    (path,) = re.findall(rb'<path class="qrline" stroke="#000" d="([^"]+)"', drawing)
    for command, numbers in re.findall(r"([Mmh])([-\d. ]+)", path.decode()):
        values = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", numbers)]
        if command == "h":
            modules[int(y), int(x) : int(x + values[0])] = 0
            x += values[0]
        else:
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
    (found,) = zxingcpp.read_barcodes(modules.repeat(4, 0).repeat(4, 1))
    return bytes(found.bytes)


def test_a_code_that_renews_itself() -> None:
    clock = Clock(1_800_000_000.0)
    with screen_at(clock) as screen:
        first, again = state(screen), state(screen)
        one = read_svg(ask(screen, "code-1.svg")[1])
        clock.now += QR_RENEWS_EVERY / 2
        later = state(screen)
        clock.now += QR_RENEWS_EVERY / 2
        renewed = state(screen)
        old = ask(screen, "code-1.svg")[0].status
        other = read_svg(ask(screen, "code-2.svg")[1])

    assert first == again
    assert (first["screen"], first["name"], first["number"], first["left"]) == ("shown", NAME, 1, QR_RENEWS_EVERY)
    assert (later["number"], later["left"]) == (1, QR_RENEWS_EVERY / 2)
    assert (renewed["number"], old) == (2, 404)
    assert one != other
    assert one.startswith(b"VITALESIM.")
    assert other.startswith(b"VITALESIM.")


def test_it_is_unlocked_again_when_it_has_locked_itself() -> None:
    clock = Clock(1_800_000_000.0)
    with screen_at(clock) as screen:
        state(screen)
        clock.now += UNLOCKED_FOR
        assert state(screen)["screen"] == "shown"


def test_a_locked_phone_shows_neither_code_nor_name() -> None:
    with screen_at(Clock(1_800_000_000.0), locked=True) as screen:
        told = state(screen)
        assert ask(screen, "code-0.svg")[0].status == 404
    assert (told["screen"], told["name"]) == ("locked", "")


def test_a_delegation_that_ends_locks_it() -> None:
    clock = Clock(1_800_000_000.0)
    with screen_at(clock, "claire", present_for="yvonne") as screen:
        assert state(screen)["screen"] == "shown"
        clock.now += 25 * 3600
        assert state(screen)["screen"] == "locked"


def test_the_page_has_no_other_sources_and_says_so() -> None:
    with screen_at(Clock(1_800_000_000.0), language="en") as screen:
        response, page = ask(screen)
        files = {name: ask(screen, name) for name in ("phone.css", "phone.js", "phone.svg")}
        head, nothing = ask(screen, method="HEAD")

    assert response.getheader("Content-Type") == "text/html; charset=utf-8"
    assert b'<html lang="en">' in page
    assert "default-src 'none'" in str(response.getheader("Content-Security-Policy"))
    assert "frame-ancestors 'none'" in str(response.getheader("Content-Security-Policy"))
    assert response.getheader("Cache-Control") == "no-store"
    assert (head.status, nothing, head.getheader("Content-Length")) == (200, b"", str(len(page)))
    assert [200] * 3 == [answer.status for answer, _ in files.values()]
    for text in (page, *(content for _, content in files.values())):
        assert re.findall(rb"https?://(?!www\.w3\.org/2000/svg)", text) == []
    # What is not in a file of its own would be refused by that policy.
    assert re.findall(rb"<style|<script>|\sstyle=|\son[a-z]+=", page) == []


@pytest.mark.parametrize("path", ["phone.html", "../phone.py", "code-.svg", "code-1.svg/x", "code-9999999999.svg", "x"])
def test_there_is_nothing_else(path: str) -> None:
    with screen_at(Clock(1_800_000_000.0)) as screen:
        assert ask(screen, path)[0].status == 404


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "localhost:1", ""])
def test_pages_of_others_do_not_reach_it_by_a_name_of_theirs(host: str) -> None:
    with screen_at(Clock(1_800_000_000.0)) as screen:
        response, content = ask(screen, host=host)
        port = screen.url.split(":")[2].rstrip("/")
        assert ask(screen, host=f"localhost:{port}")[0].status == 200
    assert (response.status, content) == (421, b"wrong host\n")


def test_a_path_that_nobody_guesses() -> None:
    with screen_at(Clock(1_800_000_000.0), secret="wLn2") as screen:
        assert screen.url.endswith("/wLn2/")
        assert state(screen)["screen"] == "shown"
        port = int(screen.url.split(":")[2].split("/")[0])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for path in ("/", "/state.json", "/wLn2", "/wLn3/state.json"):
            connection.request("GET", path)
            response = connection.getresponse()
            assert (response.status, response.read()) == (404, b"not found\n")
        connection.close()


@pytest.mark.posix("/proc")
@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="there is no IPv6 here")
def test_an_address_of_ipv6() -> None:
    with screen_at(Clock(1_800_000_000.0), address="::1") as screen:
        assert screen.url.startswith("http://[::1]:")
        assert state(screen)["screen"] == "shown"


@pytest.mark.parametrize("text", ["192.168.1.20", "10.0.0.3", "127.0.0.1", "fd00::1"])
def test_addresses_of_a_local_network(text: str) -> None:
    assert lan_address(text) == text


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "8.8.8.8", "2001:4860::8888", "comptoir.local", ""])  # noqa: S104  refused
def test_other_addresses_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        lan_address(text)


def test_a_browser_that_hangs_up_is_nothing_to_tell(capfd: pytest.CaptureFixture[str]) -> None:
    with screen_at(Clock(1_800_000_000.0)) as screen:
        port = int(screen.url.split(":")[2].rstrip("/"))
        for sent in (b"", b"GET", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.sendall(sent)
            # With a reset instead of an end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        assert state(screen)["screen"] == "shown"
    assert "Traceback" not in capfd.readouterr().err


def test_connections_that_say_nothing_take_a_bounded_number_of_threads() -> None:
    with screen_at(Clock(1_800_000_000.0)) as screen:
        address = ("127.0.0.1", int(screen.url.split(":")[2].rstrip("/")))
        before = threading.active_count()
        silent = [socket.create_connection(address) for _ in range(100)]
        # Those that are one too many are closed at once; the last of all is.
        silent[-1].settimeout(25)
        assert silent[-1].recv(1) == b""
        assert threading.active_count() - before <= 32
        for connection in silent:
            connection.close()
        assert state_in_the_end(screen)["screen"] == "shown"


def state_in_the_end(screen: PhoneScreen) -> dict[str, object]:
    """The state, once there is room again."""
    while True:
        try:
            return state(screen)
        except (OSError, http.client.HTTPException):
            continue


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium or Chrome, to look at the page")
@FOLDERS_ARE_REAL
@pytest.mark.slow
def test_a_browser_draws_a_code_that_is_read(tmp_path: Path) -> None:
    clock = Clock(1_800_000_000.0)
    with screen_at(clock) as screen:
        picture = tmp_path / "page.png"
        # Chromium refuses its sandbox to root, which is who runs tests in a container.
        sandbox = ["--no-sandbox"] if is_root() else []
        subprocess.run(
            [str(CHROMIUM), "--headless=new", *sandbox, "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}",
             "--window-size=900,900", "--virtual-time-budget=3000", f"--screenshot={picture}", screen.url],
            check=True, capture_output=True, timeout=100,
        )  # fmt: skip
        (found,) = zxingcpp.read_barcodes(np.asarray(Image.open(io.BytesIO(picture.read_bytes())).convert("L")))
        assert bytes(found.bytes) == read_svg(ask(screen, "code-1.svg")[1])
