"""The blocking SDK, over a real Unix socket."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import vitale_reader
from tests.client.connections import PATIENCE, not_again
from tests.client.fake_daemon import READER, FakeDaemon, Talk
from vitale_protocol.errors import (
    Cancelled,
    DaemonUnreachable,
    InvalidParams,
    LocalMisuse,
    MediumMute,
    NoReader,
    PresentationTimeout,
    ShuttingDown,
    TokenInvalid,
    VitaleError,
)
from vitale_protocol.events import ContextExpiring, PresentationProgress, Reader
from vitale_protocol.methods import (
    OutboxList,
    OutboxListed,
    OutboxToken,
    PresentationCancel,
    PresentationRequest,
    PresentationResult,
    PresentationSubmit,
    Result,
    SessionOpen,
)
from vitale_protocol.records import Beneficiaire, Record
from vitale_protocol.session.session import Called
from vitale_reader.client import pending_requests
from vitale_reader.client.blocking import Connection
from vitale_reader.client.presentation import ReaderChange
from vitale_reader.client.watching import BACKLOG, Watch

NONCE = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def reader(daemon: FakeDaemon, home: Path) -> Iterator[Connection]:
    with vitale_reader.connect(home=home, language="en", connect_timeout=PATIENCE, call_timeout=PATIENCE) as connection:
        yield connection


def request_of(call: Called) -> PresentationRequest:
    assert isinstance(call.params, PresentationRequest)
    return call.params


def test_a_read_returns_what_the_verified_token_says(
    reader: Connection, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_requests, "time", SimpleNamespace(monotonic=lambda: 1.0))
    found = reader.read(media=["vitale-card"], scopes=["identity", "nir"], purpose="fse", timeout=7)
    assert found.holder is not None
    assert (found.holder.prenom, found.medium, found.origin) == ("Zoé", "vitale-card", "simulated")
    assert found.proof.verified is False
    asked = request_of(daemon.wait_for("presentation.request"))
    assert asked.media == ("vitale-card",)
    assert asked.scopes == ("identity", "nir")
    assert asked.purpose == "fse"
    assert asked.timeout_ms == 7000
    assert len(asked.nonce) >= 22


def test_a_presentation_does_not_show_its_token_nor_its_holder(reader: Connection) -> None:
    found = reader.read()
    assert found.token not in repr(found)
    assert "INVENT" not in repr(found)
    assert "vitale-card" in repr(found)


def test_two_reads_have_two_nonces(reader: Connection, daemon: FakeDaemon) -> None:
    reader.read()
    reader.read()
    first, second = (request_of(call).nonce for call in daemon.named("presentation.request"))
    assert first != second


def test_a_read_is_acknowledged(reader: Connection, daemon: FakeDaemon) -> None:
    reader.read()
    daemon.wait_for("outbox.ack")
    assert daemon.outbox == {}


def test_a_read_is_acknowledged_before_the_connection_closes(daemon: FakeDaemon, home: Path) -> None:
    with vitale_reader.connect(home=home) as reader:
        reader.read()
    # It was sent by then, or it never is; the daemon may take its time over it.
    daemon.wait_for("outbox.ack")
    assert daemon.outbox == {}


def test_without_acknowledge_the_token_stays_until_the_caller_acknowledges(
    reader: Connection, daemon: FakeDaemon
) -> None:
    found = reader.read(acknowledge=False)
    assert [token.jti for token in reader.pending()] == [found.jti]
    found.acknowledge()
    assert reader.pending() == ()
    assert daemon.outbox == {}


def test_the_caller_may_bring_a_nonce(reader: Connection) -> None:
    assert reader.read(nonce=NONCE).claims.nonce == NONCE


@pytest.mark.parametrize("timeout", [0.5, 601, -1])
def test_a_timeout_out_of_bounds_is_misuse(reader: Connection, timeout: float) -> None:
    with pytest.raises(LocalMisuse):
        reader.read(timeout=timeout)


@pytest.mark.parametrize("error", [PresentationTimeout, NoReader, MediumMute])
def test_the_daemons_errors_are_raised_as_their_classes(
    reader: Connection, daemon: FakeDaemon, error: type[PresentationTimeout | NoReader | MediumMute]
) -> None:
    daemon.handlers["presentation.request"] = lambda _, __: error("so", data={"drivers": []})
    with pytest.raises(error) as caught:
        reader.read()
    assert caught.value.data["drivers"] == []


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"aud": "another"}, "audience"),
        ({"nonce": NONCE}, "nonce"),
        ({"presented_at": 999.0, "iat": 1000, "exp": 1100}, "expired"),
    ],
)
def test_a_token_that_does_not_verify_is_raised_and_not_acknowledged(
    reader: Connection, daemon: FakeDaemon, changes: dict[str, Any], check: str
) -> None:
    def issue(_: Talk, call: Called) -> Result:
        return daemon.issue(**{"nonce": request_of(call).nonce, **changes})

    daemon.handlers["presentation.request"] = issue
    with pytest.raises(TokenInvalid) as caught:
        reader.read()
    assert caught.value.data["check"] == check
    assert not daemon.named("outbox.ack")


def test_the_same_token_twice_is_raised(reader: Connection, daemon: FakeDaemon) -> None:
    kept: list[PresentationResult] = []

    def issue(_: Talk, call: Called) -> Result:
        kept.append(daemon.issue(request_of(call).nonce))
        return kept[0]

    daemon.handlers["presentation.request"] = issue
    reader.read(nonce=NONCE)
    with pytest.raises(TokenInvalid) as caught:
        reader.read(nonce=NONCE)
    assert caught.value.data["check"] == "replayed"


def test_a_key_that_was_rotated_meanwhile_is_fetched(reader: Connection, daemon: FakeDaemon) -> None:
    from joserfc.jwk import ECKey

    reader.ping()
    daemon.key = ECKey.generate_key("P-256", private=True, auto_kid=True)
    assert reader.read().medium == "vitale-card"
    daemon.wait_for("station.keys")


# ── progress, cancellation ──


def waits(daemon: FakeDaemon) -> None:
    daemon.handlers["presentation.request"] = lambda _, __: None


def test_progress_is_told_in_the_callers_thread(reader: Connection, daemon: FakeDaemon) -> None:
    def request(talk: Talk, call: Called) -> Result:
        assert call.id is not None
        for step in ("armed", "detected"):
            talk.notify("presentation.progress", PresentationProgress(request=call.id, step=step, message=step))
        return daemon.issue(request_of(call).nonce)

    daemon.handlers["presentation.request"] = request
    heard: list[tuple[str, int]] = []
    reader.read(on_progress=lambda told: heard.append((told.step, threading.get_ident())))
    assert heard == [("armed", threading.get_ident()), ("detected", threading.get_ident())]


@pytest.mark.parametrize("submitted", [False, True])
def test_a_daemon_that_takes_no_such_wish_is_asked_without_it(
    reader: Connection, daemon: FakeDaemon, submitted: bool
) -> None:
    """As one of a version before: to read there, and to hear what goes on, is better than an error."""
    method = "presentation.submit" if submitted else "presentation.request"
    answers = daemon.handlers[method]

    def of_before(talk: Talk, call: Called) -> Result | VitaleError | None:
        assert isinstance(call.params, PresentationRequest | PresentationSubmit)
        return answers(talk, call) if call.params.progress else InvalidParams("progress")

    daemon.handlers[method] = of_before
    for _ in range(2):
        assert "simulated" == (reader.submit("a code") if submitted else reader.read()).origin
    wishes = [getattr(call.params, "progress", None) for call in daemon.named(method)]
    assert [False, True, True] == wishes, "and once is enough"


@pytest.mark.parametrize("listens", [True, False])
def test_progress_is_asked_for_where_somebody_listens(reader: Connection, daemon: FakeDaemon, listens: bool) -> None:
    asked = list[bool]()

    def request(_: Talk, call: Called) -> Result:
        wish = request_of(call)
        asked.append(wish.progress)
        return daemon.issue(wish.nonce)

    daemon.handlers["presentation.request"] = request
    reader.read(on_progress=(lambda _: None) if listens else None)
    assert [listens] == asked


class Stop(Exception):
    pass


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt])
def test_what_interrupts_the_caller_cancels_the_request(
    reader: Connection, daemon: FakeDaemon, error: type[BaseException]
) -> None:
    def request(talk: Talk, call: Called) -> None:
        assert call.id is not None
        talk.notify("presentation.progress", PresentationProgress(request=call.id, step="armed", message="armed"))

    def stop(_: PresentationProgress) -> None:
        raise error

    daemon.handlers["presentation.request"] = request
    with pytest.raises(error):
        reader.read(on_progress=stop)
    cancelled = daemon.wait_for("presentation.cancel").params
    assert isinstance(cancelled, PresentationCancel)
    assert cancelled.request == daemon.wait_for("presentation.request").id
    assert reader.ping() > 0


def test_cancel_from_another_thread(reader: Connection, daemon: FakeDaemon) -> None:
    waits(daemon)
    outcome: list[BaseException] = []

    def wait() -> None:
        try:
            reader.read()
        except Cancelled as error:
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    daemon.wait_for("presentation.request")
    reader.cancel()
    thread.join(30)
    assert [type(error) for error in outcome] == [Cancelled]
    daemon.wait_for("presentation.cancel")


def test_threads_share_a_connection(reader: Connection, daemon: FakeDaemon) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(reader.read().jti)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(found)) == 8
    assert len(daemon.named("session.open")) == 1


# ── losses ──


def test_the_next_call_reconnects(reader: Connection, daemon: FakeDaemon) -> None:
    reader.ping()
    daemon.stop()
    daemon.start()
    assert reader.ping() > 0
    assert len(daemon.named("session.open")) == 2


def test_a_token_that_was_issued_and_not_delivered_is_recovered(reader: Connection, daemon: FakeDaemon) -> None:
    def issue_and_die(_: Talk, call: Called) -> None:
        daemon.issue("some-other-request-of-this-client")
        daemon.issue(request_of(call).nonce)
        daemon.later(daemon.talks[0].drop)

    daemon.handlers["presentation.request"] = issue_and_die
    found = reader.read(nonce=NONCE)
    assert found.claims.nonce == NONCE
    assert len(daemon.named("presentation.request")) == 1
    daemon.wait_for("outbox.ack")
    assert len(daemon.outbox) == 1


def test_a_request_that_was_lost_is_made_again_with_the_time_that_is_left(
    reader: Connection, daemon: FakeDaemon
) -> None:
    def die_once(talk: Talk, call: Called) -> Result | None:
        if not daemon.named("presentation.request"):
            daemon.later(talk.drop)
            return None
        return daemon.issue(request_of(call).nonce)

    daemon.handlers["presentation.request"] = die_once
    assert reader.read(timeout=30).medium == "vitale-card"
    first, second = (request_of(call) for call in daemon.named("presentation.request"))
    assert first.nonce == second.nonce
    assert second.timeout_ms <= first.timeout_ms


def test_a_daemon_that_shuts_down_in_good_order_is_waited_for_too(reader: Connection, daemon: FakeDaemon) -> None:
    def shut_once(_: Talk, call: Called) -> Result | ShuttingDown:
        if not daemon.named("presentation.request"):
            return ShuttingDown()
        return daemon.issue(request_of(call).nonce)

    daemon.handlers["presentation.request"] = shut_once
    assert reader.read().medium == "vitale-card"


def test_a_daemon_that_does_not_come_back_is_unreachable(daemon: FakeDaemon, home: Path) -> None:
    waits(daemon)
    with Connection(not_again(home)) as reader:

        def stop() -> None:
            daemon.wait_for("presentation.request")
            daemon.stop()

        stopping = threading.Thread(target=stop)
        stopping.start()
        with pytest.raises(DaemonUnreachable):
            reader.read()
        stopping.join(30)


def test_a_daemon_that_lets_a_request_wait_beyond_its_time_is_unreachable(
    reader: Connection, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_time(_: object) -> float:
        return 0.0

    monkeypatch.setattr(pending_requests, "GRACE", -pending_requests.SHORTEST)
    monkeypatch.setattr(pending_requests, "_limit", no_time)
    waits(daemon)
    with pytest.raises(DaemonUnreachable, match="beyond its time"):
        reader.read()


def test_no_daemon_is_unreachable(home: Path) -> None:
    with pytest.raises(DaemonUnreachable), vitale_reader.connect(home=home, connect_timeout=0):
        pass


def test_a_daemon_that_does_not_answer_is_unreachable(daemon: FakeDaemon, home: Path) -> None:
    daemon.handlers["readers.list"] = lambda _, __: None
    with (
        vitale_reader.connect(home=home, call_timeout=0.1, connect_timeout=PATIENCE) as reader,
        pytest.raises(DaemonUnreachable) as silent,
    ):
        reader.readers()
    assert "silent" == silent.value.variant


def test_a_daemon_that_listens_may_answer_late(daemon: FakeDaemon, home: Path) -> None:
    opened = daemon.handlers["session.open"]

    def open_late(talk: Talk, call: Called) -> None:
        answer = opened(talk, call)
        assert answer is not None
        # Later than a first connection is tried for where nobody listens.
        asyncio.get_running_loop().call_later(1.2, talk.answer, call, answer)

    daemon.handlers["session.open"] = open_late
    with vitale_reader.connect(home=home, connect_timeout=0, call_timeout=PATIENCE) as reader:
        assert reader.readers() == daemon.readers
    assert 1 == len(daemon.named("session.open"))


@pytest.mark.posix("over TLS it is one that has shown the certificate of the daemon")
def test_a_stranger_who_speaks_no_json_is_unreachable(daemon: FakeDaemon, home: Path) -> None:
    def babble(talk: Talk, _: Called) -> None:
        assert talk.transport is not None
        talk.transport.write(b"HTTP/1.1 400 Bad Request\n")

    daemon.handlers["session.open"] = babble
    with pytest.raises(DaemonUnreachable), vitale_reader.connect(home=home, connect_timeout=0):
        pass


def test_what_waits_comes_page_by_page(reader: Connection, daemon: FakeDaemon) -> None:
    tokens = [OutboxToken(jti=f"j{number}", exp=1, token="t") for number in range(3)]
    first, second = tuple(tokens[:2]), tuple(tokens[2:])
    pages = {None: OutboxListed(tokens=first, more="1~j1"), "1~j1": OutboxListed(tokens=second)}

    def listed(_: Talk, call: Called) -> Result:
        assert isinstance(call.params, OutboxList)
        return pages[call.params.after]

    daemon.handlers["outbox.list"] = listed
    assert tuple(tokens) == reader.pending()
    pages["1~j1"] = OutboxListed(tokens=second, more="1~j1")
    assert tuple(tokens) == reader.pending(), "a daemon that says the same place again has no more"


def test_to_acknowledge_nothing_asks_nothing(reader: Connection, daemon: FakeDaemon) -> None:
    assert 0 == reader.acknowledge()
    assert [] == daemon.named("outbox.ack")


@pytest.mark.parametrize("holder", [None, 5])
def test_a_holder_whom_the_token_does_not_tell_is_nobody(
    reader: Connection, daemon: FakeDaemon, holder: int | None
) -> None:
    record = Record(beneficiaires=(Beneficiaire(prenom="Zoé"),), porteur=holder)
    daemon.handlers["presentation.request"] = lambda _, call: daemon.issue(request_of(call).nonce, record=record)
    found = reader.read()
    assert found.holder is None
    assert ["Zoé"] == [one.prenom for one in found.beneficiaries]


def test_a_context_that_ends_soon_where_nobody_listens_changes_nothing(reader: Connection, daemon: FakeDaemon) -> None:
    def tell_before(talk: Talk, call: Called) -> Result:
        talk.notify("context.expiring", ContextExpiring(identifiant="c", date_fin_validite="2026-01-01T00:00:00Z"))
        return daemon.issue(request_of(call).nonce)

    daemon.handlers["presentation.request"] = tell_before
    assert "vitale-card" == reader.read().medium


# ── readers ──


def test_the_readers(reader: Connection) -> None:
    assert reader.readers() == (READER,)


def test_a_watch_begins_with_what_there_is_and_goes_on_with_what_changes(
    reader: Connection, daemon: FakeDaemon
) -> None:
    present = Reader(
        id=READER.id, name=READER.name, driver="pcsc", media=READER.media, state="present", medium="vitale-card"
    )
    changes = reader.watch()
    assert (change := next(changes)).kind == "added"
    assert change.reader == READER
    daemon.tell("reader.changed", present)
    assert next(changes).reader.state == "present"
    daemon.tell("reader.removed", present)
    assert next(changes).kind == "removed"
    changes.close()
    daemon.wait_for("readers.unwatch")


def test_a_watch_survives_the_daemon_and_tells_only_the_difference(reader: Connection, daemon: FakeDaemon) -> None:
    other = Reader(id="pcsc:two", name="Lecteur 2", driver="pcsc", media=("vitale-card",), state="empty")
    changes = reader.watch()
    next(changes)
    daemon.stop()
    daemon.readers = (READER, other)
    daemon.start()
    assert (change := next(changes)).kind == "added"
    assert change.reader == other
    changes.close()


def test_what_did_not_change_is_no_change(reader: Connection, daemon: FakeDaemon) -> None:
    changes = reader.watch()
    next(changes)
    daemon.tell("reader.changed", READER)
    daemon.tell("reader.removed", READER)
    assert "removed" == next(changes).kind
    changes.close()


def test_who_is_far_behind_asks_again_instead_of_hearing_everything() -> None:
    async def work() -> list[ReaderChange]:
        watch = Watch()
        for _ in range(BACKLOG + 1):
            watch.hear(ReaderChange("added", READER))
        assert await watch.next() is None
        return watch.settle((READER,))

    assert [ReaderChange("added", READER)] == asyncio.run(work())


def test_waiting_until_a_reader_is_empty(reader: Connection, daemon: FakeDaemon) -> None:
    present = Reader(id=READER.id, name=READER.name, driver="pcsc", media=READER.media, state="present")
    daemon.readers = (present,)
    waiting = threading.Thread(target=lambda: reader.wait_until_empty(READER.id))
    waiting.start()
    daemon.wait_for("readers.watch")
    daemon.tell("reader.changed", READER)
    waiting.join(30)
    assert not waiting.is_alive()
    daemon.readers = ()
    reader.wait_until_empty(READER.id)


# ── its life ──


def test_the_session_says_who_the_client_is(reader: Connection, daemon: FakeDaemon) -> None:
    assert reader.session().client_id == "local"
    opened = daemon.wait_for("session.open").params
    assert isinstance(opened, SessionOpen)
    assert opened.language == "en"


def test_a_connection_that_is_not_open_is_misuse(home: Path) -> None:
    with pytest.raises(LocalMisuse):
        vitale_reader.connect(home=home).readers()


def test_a_connection_opens_once_and_closes_twice(daemon: FakeDaemon, home: Path) -> None:
    connection = vitale_reader.connect(home=home)
    connection.open()
    with pytest.raises(LocalMisuse):
        connection.open()
    connection.close()
    connection.close()
    with pytest.raises(LocalMisuse):
        connection.ping()


def test_closing_ends_a_watch_of_another_thread(daemon: FakeDaemon, home: Path) -> None:
    begun = threading.Event()
    connection = vitale_reader.connect(home=home)
    connection.open()

    def follow() -> None:
        for _ in connection.watch():
            begun.set()

    thread = threading.Thread(target=follow)
    thread.start()
    assert begun.wait(30)
    connection.close()
    thread.join(30)
    assert not thread.is_alive()
