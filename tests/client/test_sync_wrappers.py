"""The two shapes of the SDK have one signature and one text for each method."""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest

import vitale_reader
from tests.client.fake_daemon import FakeDaemon
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
