"""Ctrl-C wherever the program's thread can be in the SDK: a clean end, and a connection as good as before."""

import gc
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import pytest

import vitale_reader
from tests.client.fake_daemon import READER, FakeDaemon, Talk
from vitale_protocol.events import CodeRead, PresentationToken, ReaderEvent
from vitale_protocol.methods import (
    CodesSubscribed,
    Done,
    LeaseAcquired,
    LeaseReleased,
    PresentationsSubscribe,
    PresentationsSubscribed,
    ReadersListed,
    Result,
)
from vitale_protocol.session.session import Called
from vitale_reader.client import blocking

SDK = str(Path(blocking.__file__).parent)


@pytest.fixture
def prompt(daemon: FakeDaemon) -> FakeDaemon:
    """Everything is answered at once."""

    def subscribe(talk: Talk, call: Called) -> Result | None:
        assert isinstance(call.params, PresentationsSubscribe)
        issued, name = daemon.issue(call.params.nonce), f"tokens-{len(daemon.calls)}"
        told = PresentationToken(
            subscription=name, presentation=issued.presentation, token=issued.token, claims=issued.claims
        )
        talk.session.reply(call.id, PresentationsSubscribed(subscription=name))
        talk.session.notify("presentation.token", told)
        talk.flush()
        return None

    def codes(talk: Talk, call: Called) -> Result | None:
        name = f"codes-{len(daemon.calls)}"
        talk.session.reply(call.id, CodesSubscribed(subscription=name))
        talk.session.notify("code.read", CodeRead(subscription=name, reader="scanner:one", data="box"))
        talk.flush()
        return None

    def watch(talk: Talk, call: Called) -> Result | None:
        talk.session.reply(call.id, ReadersListed(readers=daemon.readers))
        talk.session.notify("reader.changed", ReaderEvent(reader=msgspec.structs.replace(READER, state="present")))
        talk.flush()
        return None

    daemon.handlers["readers.watch"] = watch
    daemon.handlers["presentations.subscribe"] = subscribe
    daemon.handlers["codes.subscribe"] = codes
    daemon.handlers["lease.acquire"] = lambda _, __: LeaseAcquired(lease="l", atr="3B00", expires_at=1.0)
    daemon.handlers["lease.release"] = lambda _, __: LeaseReleased(released=True)
    for method in ("presentations.unsubscribe", "codes.unsubscribe"):
        daemon.handlers[method] = lambda _, __: Done()
    return daemon


@contextmanager
def ctrl_c(at: int) -> Generator[list[str], None, None]:
    """Raises KeyboardInterrupt in this thread at that place of the SDK, counted from 1, and says which it has seen.

    Python looks for Ctrl-C as a function begins and after a call of what is not written in Python; so does this.
    """
    seen = list[str]()
    former = sys.getprofile()

    def look(frame: FrameType, event: str, _: object) -> None:
        if event in {"call", "c_return"} and frame.f_code.co_filename.startswith(SDK):
            seen.append(f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}")
            if len(seen) == at:
                raise KeyboardInterrupt

    sys.setprofile(look)
    try:
        yield seen
    finally:
        sys.setprofile(former)


@pytest.fixture(scope="module")
def little_to_collect() -> Generator[None]:
    """Spares the collector what thousands of tests before these have left: it is called at each of a hundred places."""
    gc.freeze()
    yield
    gc.unfreeze()


def first(stream: Any) -> None:
    with closing(stream):
        next(stream)


def lease(reader: vitale_reader.Connection) -> None:
    with reader.lease("pcsc:one"):
        pass


CALLS: dict[str, Callable[[vitale_reader.Connection], object]] = {
    "read": lambda reader: reader.read(),
    "submit": lambda reader: reader.submit("typed"),
    "subscribe": lambda reader: first(reader.subscribe()),
    "codes": lambda reader: first(reader.codes()),
    "watch": lambda reader: first(reader.watch()),
    "lease": lease,
    "ping": lambda reader: reader.ping(),
}


@pytest.mark.usefixtures("little_to_collect")
@pytest.mark.parametrize("call", CALLS)
def test_ctrl_c_may_come_at_any_place(prompt: FakeDaemon, home: Path, call: str) -> None:
    with vitale_reader.connect(home=home) as reader, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with ctrl_c(at=0) as undisturbed:
            CALLS[call](reader)
        assert undisturbed
        for at in range(1, len(undisturbed) + 1):
            # It may end before that place: how often the wait looks up is the machine's affair.
            with ctrl_c(at) as seen:
                try:
                    CALLS[call](reader)
                except KeyboardInterrupt:
                    assert len(seen) >= at
            gc.collect()
            assert [] == [str(each.message) for each in told], seen[-1]
            assert reader.ping() >= 0
