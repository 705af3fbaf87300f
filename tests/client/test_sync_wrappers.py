"""The two shapes of the SDK have one signature and one text for each method."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vitale_reader
from tests.client.fake_daemon import FakeDaemon
from vitale_protocol.errors import LocalMisuse
from vitale_reader.client import blocking, connection, leasing
from vitale_reader.client.connection import Connection as AsyncConnection

OWN = {"open", "close", "cancel"}


def public(owner: type) -> list[str]:
    return sorted(name for name, _ in inspect.getmembers(owner, inspect.isroutine) if not name.startswith("_"))


PAIRS = [
    (f"{theirs.__name__}.{name}", getattr(theirs, name), getattr(ours, name))
    for theirs, ours in ((connection.Connection, blocking.Connection), (leasing.Lease, leasing.BlockingLease))
    for name in public(ours)
    if name not in OWN
]


def test_each_shape_has_what_the_other_has() -> None:
    assert set(public(connection.Connection)) | {"open"} == set(public(blocking.Connection))
    assert {"transmit", "renew"} == set(public(leasing.BlockingLease)) <= set(public(leasing.Lease))
    assert public(connection.Presentation) == public(blocking.Presentation)


@pytest.mark.parametrize(("name", "theirs", "ours"), PAIRS, ids=[name for name, _, _ in PAIRS])
def test_twins_take_the_same_and_say_the_same(
    name: str, theirs: Callable[..., object], ours: Callable[..., object]
) -> None:
    assert inspect.signature(theirs).parameters == inspect.signature(ours).parameters
    assert name == ours.__qualname__
    said, says = inspect.getdoc(theirs), inspect.getdoc(ours)
    assert said
    assert says
    assert said.partition("\n\nArgs:")[2] == says.partition("\n\nArgs:")[2]
    assert says.startswith(said.partition("\n\nArgs:")[0])


def test_no_twin_is_a_coroutine() -> None:
    assert not [
        name for name, _, ours in PAIRS if inspect.iscoroutinefunction(ours) or inspect.isasyncgenfunction(ours)
    ]


def test_connect_is_one_too() -> None:
    assert (
        inspect.signature(vitale_reader.connect).parameters == inspect.signature(vitale_reader.aio.connect).parameters
    )
    assert inspect.signature(vitale_reader.connect).return_annotation is vitale_reader.Connection
    assert inspect.signature(vitale_reader.aio.connect).return_annotation is AsyncConnection
    assert inspect.getdoc(vitale_reader.connect) == inspect.getdoc(vitale_reader.aio.connect)


@pytest.mark.posix("a pairing without a certificate is good for a Unix socket alone")
def test_a_text_may_stand_for_a_list_and_for_a_path(daemon: FakeDaemon, home: Path, tmp_path: Path) -> None:
    paired = tmp_path / "pairing.json"
    vitale_reader.Pairing(client_id="c", credential="secret").save(paired)
    with vitale_reader.connect(home=str(home), pairing=str(paired)) as reader:
        reader.read(readers="pcsc:one", media="vitale-card", scopes="nir", purpose="fse")
    asked = daemon.wait_for("presentation.request").params
    found = [getattr(asked, name) for name in ("readers", "media", "scopes", "purpose")]
    assert [("pcsc:one",), ("vitale-card",), ("nir",), "fse"] == found


@pytest.mark.timeout(60)
def test_a_call_that_is_none_is_told_to_the_caller_and_ends_nothing(daemon: FakeDaemon, home: Path) -> None:
    """An argument too many or of another name: of whichever method, and never a wait without an end."""
    blocking_ones = [name for name in public(blocking.Connection) if name not in OWN]
    with vitale_reader.connect(home=home) as reader:
        for name in blocking_ones:
            with pytest.raises(TypeError):
                _done(getattr(reader, name)(no_such_argument=1))
        assert 0 < reader.ping()


def _done(begun: Any) -> None:
    if inspect.isgenerator(begun):
        next(begun)
    elif hasattr(begun, "__enter__"):
        with begun as read:
            read.result()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("wrong", ["Zo\udce9", Path("/x"), object()], ids=["half", "path", "object"])
def test_what_json_has_not_is_misuse_wherever_it_stands(daemon: FakeDaemon, home: Path, wrong: Any) -> None:
    with vitale_reader.connect(home=home) as reader:
        calls: dict[str, Callable[[], object]] = {
            "readers": lambda: reader.read(readers=[wrong]),
            "scopes": lambda: reader.read(scopes=(wrong,)),
            "nonce": lambda: reader.read(nonce=wrong),
            "purpose": lambda: reader.submit("x", purpose=(wrong,)),
            "subscription": lambda: next(reader.subscribe(readers=(wrong,))),
            "codes": lambda: next(reader.codes(readers=(wrong,))),
            "lease": lambda: reader.lease(wrong).__enter__(),
            "context": lambda: reader.release_context(wrong),
            "client": lambda: reader.add_client(wrong, scopes=("identity",), transports=("unix",)),
        }
        for name, call in calls.items():
            with pytest.raises(LocalMisuse) as told:
                call()
            assert (name, None) == (name, told.value.__context__), "the error of a codec carries the text"
        assert 0 < reader.ping()


def test_what_is_no_way_and_no_time_is_told_where_it_is_given(home: Path) -> None:
    wrong: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"pairing": 5}, TypeError),
        ({"pairing": {"client_id": "c"}}, TypeError),
        ({"address": 5}, LocalMisuse),
        ({"address": Path("/run/daemon.sock")}, LocalMisuse),
        ({"connect_timeout": float("nan")}, LocalMisuse),
        ({"connect_timeout": -1}, LocalMisuse),
        ({"call_timeout": float("nan")}, LocalMisuse),
        ({"call_timeout": 0}, LocalMisuse),
        ({"no_such_argument": 1}, TypeError),
    ]
    for given, refusal in wrong:
        with pytest.raises(refusal) as told, vitale_reader.connect(home=home, **given):
            pass
        assert (given, False) == (given, "settings_of" in str(told.value))
