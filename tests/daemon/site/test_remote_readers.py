"""What other desks have, and whom the names of a request mean."""

import msgspec
import pytest

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.events import Reader, ReaderState, ReaderStation
from vitale_reader.daemon.config import parse
from vitale_reader.daemon.site.remote_readers import DeskStatus, DeskTold, SiteReaders, named, site_name

HERE, THERE = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
CARDS = frozenset({"vitale-card"})


def reader(name: str = "pcsc:slot", state: ReaderState = "empty") -> Reader:
    return Reader(id=name, name="Slot", driver="pcsc", media=("vitale-card",), state=state)


def told(*readers: Reader, groups: tuple[str, ...] = (), mode: str = "test") -> DeskTold:
    return DeskTold(name="Counter 2", mode=mode, groups=groups, readers=readers)  # type: ignore[arg-type]  # one of three


@pytest.fixture
def others() -> SiteReaders:
    return SiteReaders(HERE, "test")


def test_readers_of_another_desk_have_names_of_their_own_and_its_name(others: SiteReaders) -> None:
    ((what, shown),) = others.hear({THERE: told(reader())})
    assert (what, shown.id, shown.station) == (
        "added",
        f"pcsc:slot@{THERE}",
        ReaderStation(id=THERE, name="Counter 2"),
    )
    assert others.readers == (shown,)


def test_what_is_new_is_told_once(others: SiteReaders) -> None:
    others.hear({THERE: told(reader(), reader("nfc:pad"))})
    assert others.hear({THERE: told(reader(), reader("nfc:pad"))}) == []
    news = others.hear({THERE: told(reader(state="present"), reader("camera:desk"))})
    assert [(what, shown.id.partition("@")[0]) for what, shown in news] == [
        ("removed", "nfc:pad"),
        ("added", "camera:desk"),
        ("changed", "pcsc:slot"),
    ]
    assert [what for what, _ in others.hear({})] == ["removed", "removed"]
    assert others.readers == ()


def test_this_desk_and_those_in_another_mode_are_not_shown(others: SiteReaders) -> None:
    assert others.hear({HERE: told(reader()), THERE: told(reader(), mode="simulated")}) == []


@pytest.mark.parametrize(
    ("name", "where", "own"),
    [
        ("pcsc:slot", HERE, {"pcsc:slot"}),
        (site_name("pcsc:slot", HERE), HERE, {"pcsc:slot"}),
        (site_name("pcsc:slot", THERE), THERE, set[str]()),
        ("pcsc:name@of-a-device", HERE, {"pcsc:name@of-a-device"}),
    ],
)
def test_a_name_means_a_reader_of_one_desk(name: str, where: str, own: set[str]) -> None:
    names = named([name], HERE)
    assert names.own(HERE) == own
    assert names.beyond(HERE) is (where != HERE)
    assert names.mean(where, (), reader(name.removesuffix(f"@{where}")))
    assert not names.mean(where, (), reader("pcsc:other"))


def test_a_group_means_all_readers_of_its_desks(others: SiteReaders) -> None:
    names = named(["group:counter-2"], HERE)
    assert names.beyond(HERE)
    others.hear({THERE: told(reader(), groups=("counter-2",))})
    assert others.hoped_for(names, CARDS)
    assert not others.hoped_for(names, frozenset({"apcv-qr"}))
    assert not others.hoped_for(named(["group:counter-3"], HERE), CARDS)
    others.hear({THERE: told(reader(state="unavailable"), groups=("counter-2",))})
    assert not others.hoped_for(names, CARDS)


def test_groups_are_told_in_the_configuration() -> None:
    assert parse('[station]\ngroups = ["counter-2"]').station.groups == ("counter-2",)
    with pytest.raises(ConfigurationInvalid):
        parse('[station]\ngroups = ["counter 2"]')


def test_a_desk_that_is_meant_and_starts_is_told_from_one_that_is_not(others: SiteReaders) -> None:
    status = DeskStatus(starting=True)
    desk = DeskTold(name="counter 2", mode="test", groups=("counters",), readers=(), status=status)
    others.hear({THERE: desk})
    assert others.starting(named([site_name("nfc:1", THERE)], HERE))
    assert others.starting(named(["group:counters"], HERE))
    assert not others.starting(named(["group:others", site_name("nfc:1", HERE)], HERE))
    others.hear({THERE: msgspec.structs.replace(desk, status=DeskStatus())})
    assert not others.starting(named(["group:counters"], HERE))
    others.hear({THERE: msgspec.structs.replace(desk, status=None)})
    assert not others.starting(named(["group:counters"], HERE))
