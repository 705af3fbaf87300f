"""Pictures of what cameras see: who gets them, how many, and when there are none any more."""

import asyncio
import base64
import logging
from typing import Any

import pytest

from vitale_drivers.base import Preview, PreviewPicture, ReaderRemoved
from vitale_protocol.events import PreviewFrame as Shown
from vitale_protocol.events import Reader
from vitale_reader.daemon.desk.previews import MOST_BYTES, Previews

CAMERA = Reader(id="camera:desk", name="Camera", driver="camera", media=("apcv-qr",), state="empty")
OTHER = Reader(id="camera:other", name="Other", driver="camera", media=("apcv-qr",), state="empty")
JPEG = b"\xff\xd8 a picture \xff\xd9"


class Viewer:
    """A session that reads, or does not."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.has_read_all = True
        self.seen: list[float] = []

    def preview_frame(self, event: Shown) -> None:
        assert base64.b64decode(event.jpeg_b64) == JPEG
        self.seen.append(event.at)


class Coordinator:
    """Previews, and what was sent to drivers."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, float]] = []
        self.previews = Previews(lambda driver, command: self.sent.append((driver, command.reader, command.every)))

    def pictures(self, *times: float, reader: Reader = CAMERA, jpeg: bytes = JPEG) -> None:
        for now in times:
            self.previews.hand_on(PreviewPicture(reader=reader.id, at=now, jpeg=jpeg), now)


@pytest.fixture
def desk() -> Coordinator:
    return Coordinator()


def test_pictures_go_to_who_asked_for_this_reader(desk: Coordinator) -> None:
    here, there = Viewer(1), Viewer(2)
    desk.previews.start(here, CAMERA, 0.1, 0.0)
    desk.previews.start(there, OTHER, 0.1, 0.0)
    desk.pictures(1.0)
    assert (here.seen, there.seen) == ([1.0], [])


def test_each_at_its_own_pace_and_the_driver_at_the_quickest(desk: Coordinator) -> None:
    quick, slow = Viewer(1), Viewer(2)
    desk.previews.start(slow, CAMERA, 0.3, 0.0)
    desk.previews.start(quick, CAMERA, 0.1, 0.0)
    assert [every for _, _, every in desk.sent] == [0.3, 0.1]
    desk.pictures(1.0, 1.1, 1.2, 1.3, 1.4)
    assert quick.seen == [1.0, 1.1, 1.2, 1.3, 1.4]
    assert slow.seen == [1.0, 1.3]
    desk.previews.stop(quick, CAMERA.id, 2.0)
    assert desk.sent[-1] == ("camera", CAMERA.id, 0.3)


def test_a_driver_that_is_too_quick_is_thinned_out(desk: Coordinator) -> None:
    viewer = Viewer(1)
    desk.previews.start(viewer, CAMERA, 0.1, 0.0)
    desk.pictures(*(number / 100 for number in range(100)))
    assert 9 <= len(viewer.seen) <= 13


def test_who_does_not_read_is_sent_nothing_more_and_nothing_late(desk: Coordinator) -> None:
    viewer = Viewer(1)
    desk.previews.start(viewer, CAMERA, 0.1, 0.0)
    desk.pictures(1.0)
    viewer.has_read_all = False
    desk.pictures(1.1, 1.2, 1.3)
    viewer.has_read_all = True
    desk.pictures(1.4)
    assert viewer.seen == [1.0, 1.4]


def test_asked_for_again_it_goes_on_at_the_new_pace(desk: Coordinator) -> None:
    viewer = Viewer(1)
    desk.previews.start(viewer, CAMERA, 0.1, 0.0)
    desk.previews.start(viewer, CAMERA, 1.0, 0.0)
    desk.pictures(1.0, 1.5, 2.0)
    assert viewer.seen == [1.0, 2.0]


def test_the_driver_is_told_of_the_end_once(desk: Coordinator) -> None:
    one, two = Viewer(1), Viewer(2)
    for viewer in (one, two):
        desk.previews.start(viewer, CAMERA, 0.1, 0.0)
    desk.previews.stop(one, CAMERA.id, 1.0)
    desk.previews.stop(one, CAMERA.id, 1.0)
    desk.previews.leave(two, 2.0)
    desk.previews.leave(two, 2.0)
    assert [every for _, _, every in desk.sent] == [0.1, 0.1, 0.1, 0.0]
    desk.pictures(3.0)
    assert one.seen == two.seen == []


def test_nothing_is_said_to_a_driver_of_a_reader_that_it_has_no_more(desk: Coordinator) -> None:
    viewer = Viewer(1)
    desk.previews.start(viewer, CAMERA, 0.1, 0.0)
    desk.previews.removed(CAMERA.id)
    sent = len(desk.sent)
    desk.previews.armed("camera", 1.0)
    desk.previews.leave(viewer, 1.0)
    desk.pictures(1.0)
    assert len(desk.sent) == sent
    assert viewer.seen == []


def test_a_driver_is_told_anew_when_it_is_armed(desk: Coordinator) -> None:
    desk.previews.start(Viewer(1), CAMERA, 0.1, 0.0)
    desk.previews.armed("camera", 5.0)
    desk.previews.armed("pcsc", 5.0)
    assert desk.sent == [("camera", CAMERA.id, 0.1)] * 2


def test_a_picture_that_no_message_could_hold_is_dropped(desk: Coordinator) -> None:
    viewer = Viewer(1)
    desk.previews.start(viewer, CAMERA, 0.1, 0.0)
    desk.pictures(1.0, jpeg=b"x" * (MOST_BYTES + 1))
    assert viewer.seen == []


# ── on the wire ──


def picture(counter: Any, at: float = 1.0, jpeg: bytes = JPEG, driver: str = "camera") -> None:
    counter.desk.report(driver, PreviewPicture(reader=CAMERA.id, at=at, jpeg=jpeg))


def orders(counter: Any) -> list[float]:
    return [command.every for _, command in counter.sent if isinstance(command, Preview)]


def test_a_session_sees_what_the_camera_sees(counter: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def work(line: Any) -> None:
        counter.put_optics()
        started = await line.result("preview.start", {"reader": CAMERA.id, "every_ms": 150})
        assert started == {"reader": CAMERA.id, "every_ms": 150}
        assert [type(command).__name__ for _, command in counter.sent] == ["Preview"], "nothing is armed by that"
        picture(counter)
        told = await line.receive()
        assert (told["method"], told["params"]["reader"], told["params"]["at"]) == ("preview.frame", CAMERA.id, 1.0)
        assert base64.b64decode(told["params"]["jpeg_b64"]) == JPEG
        assert await line.result("preview.stop", {"reader": CAMERA.id}) == {}
        picture(counter)
        await line.result("session.ping")
        assert line.notifications == []
        assert orders(counter) == [0.15, 0.0]

    counter.run(work)
    assert "PreviewPicture" not in caplog.text
    assert base64.b64encode(JPEG).decode() not in caplog.text


def test_another_session_sees_nothing(counter: Any) -> None:
    async def main() -> None:
        async with (
            counter.station() as endpoints,
            counter.tools.unix_line(endpoints) as line,
            counter.tools.unix_line(endpoints) as other,
        ):
            counter.put_optics()
            await line.open()
            await other.open()
            await other.result("readers.watch")
            await line.result("preview.start", {"reader": CAMERA.id})
            picture(counter)
            await other.result("session.ping")
            assert other.notifications == []
            assert (await line.receive())["method"] == "preview.frame"

    asyncio.run(main())


def test_it_ends_with_its_session(counter: Any) -> None:
    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as stays:
            counter.put_optics()
            await stays.open()
            async with counter.tools.unix_line(endpoints) as goes:
                await goes.open()
                await goes.result("preview.start", {"reader": CAMERA.id})
            async with asyncio.timeout(20):
                while orders(counter)[-1] != 0.0:
                    await stays.result("session.ping")

    asyncio.run(main())


def test_it_ends_with_its_reader(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        await line.result("preview.start", {"reader": CAMERA.id})
        counter.desk.report("camera", ReaderRemoved(reader=CAMERA.id))
        picture(counter)
        await line.result("session.ping")
        assert line.notifications == []
        assert await line.reason("preview.start", {"reader": CAMERA.id}) == "no_reader"

    counter.run(work)


def test_a_driver_shows_no_pictures_of_anothers_camera(counter: Any) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        await line.result("preview.start", {"reader": CAMERA.id})
        picture(counter, driver="scanner")
        await line.result("session.ping")
        assert line.notifications == []

    counter.run(work)


@pytest.mark.parametrize("every_ms", [0, 99, 10_001, -1, "fast"])
def test_no_pace_but_a_reasonable_one(counter: Any, every_ms: object) -> None:
    async def work(line: Any) -> None:
        counter.put_optics()
        assert await line.reason("preview.start", {"reader": CAMERA.id, "every_ms": every_ms}) == "invalid_params"

    counter.run(work)


@pytest.mark.posix("a client comes with a credential, which is good for a Unix socket alone")
def test_it_needs_its_own_scope(counter: Any) -> None:
    async def main() -> None:
        async with counter.station() as endpoints, counter.tools.unix_line(endpoints) as admin:
            counter.put_optics()
            await admin.open()
            paired: dict[str, Any] = {}
            for scopes in (["identity", "payload"], ["preview"]):
                params = {"name": "other", "scopes": scopes, "transports": ["unix"]}
                paired[scopes[0]] = (await admin.result("clients.add", params))["credential"]
            async with counter.tools.unix_line(endpoints) as line:
                await line.open(credential=paired["identity"])
                assert await line.reason("preview.start", {"reader": CAMERA.id}) == "not_authorised"
                assert await line.reason("preview.stop", {"reader": CAMERA.id}) == "not_authorised"
            async with counter.tools.unix_line(endpoints) as line:
                opened = await line.open(credential=paired["preview"])
                assert opened["scopes"] == ["preview"]
                await line.result("preview.start", {"reader": CAMERA.id})

    asyncio.run(main())


@pytest.mark.posix("what a connection holds is more where TLS is between")
def test_a_client_that_does_not_read_holds_one_picture_and_is_not_cut_off(
    counter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vitale_reader.daemon.desk.previews.EARLY", 1e9)  # all are due

    async def main() -> None:
        config = counter.config(rest="[limits]\nsend_buffer_bytes = 1000000")
        async with counter.station(config) as endpoints, counter.tools.unix_line(endpoints) as line:
            counter.put_optics()
            await line.open()
            await line.result("preview.start", {"reader": CAMERA.id})
            line.reader._transport.pause_reading()
            for number in range(200):
                picture(counter, at=float(number), jpeg=b"\xff" * 100_000)
                await asyncio.sleep(0)
            picture(counter, at=1000.0, jpeg=b"\xff" * 100_000)
            line.reader._transport.resume_reading()
            seen: list[float] = []
            request = line.send_call("session.ping")
            while (message := await line.receive()).get("id") != request:
                seen.append(message["params"]["at"])
            assert 0 < len(seen) < 20, "what could be held, and no more"
            picture(counter, at=2000.0)
            assert (await line.receive())["params"]["at"] == 2000.0, "and then it goes on"

    asyncio.run(main())
