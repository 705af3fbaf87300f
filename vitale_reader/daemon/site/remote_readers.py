"""Readers of the other desks of a site, under site-wide names, and the desks that a name means.

Pure: what was heard goes in, what has to be announced comes out.

- A reader of another desk is named ``<its id there>@<the station's id>``. Ids of readers are those of devices, and two
  desks may have the same one. One's own readers may be named so as well.
- ``group:<name>`` means every reader of every desk that is in the group, whenever it comes.
"""

import re
from collections.abc import Iterable, Mapping

import msgspec

from vitale_protocol.events import Reader, ReaderStation
from vitale_protocol.methods import StationMode

__all__ = ["DeskStatus", "DeskTold", "Names", "SiteReaders", "named", "site_name"]

GROUP = "group:"
ELSEWHERE = re.compile(r"(?P<reader>.+)@(?P<station>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.DOTALL)


class DeskTold(msgspec.Struct, frozen=True, kw_only=True):
    """Announcement of a desk to the others.

    Attributes:
        name: its name.
        mode: its mode.
        groups: those that it is in.
        readers: its readers, under its own names for them.
        version: of its software; empty of one that does not tell.
        host: the machine that it runs on.
        started: when this run of its daemon first told something, by the database's clock.
        rival: the run of a daemon whose row under the same station's id this one replaced; empty for none.
        status: how it is; absent of one that does not tell.
    """

    name: str
    mode: StationMode
    groups: tuple[str, ...]
    readers: tuple[Reader, ...]
    version: str = ""
    host: str = ""
    started: float = 0.0
    rival: str = ""
    status: "DeskStatus | None" = None


class DeskStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """State of a desk, as announced to the site.

    Attributes:
        listens: whether it hears notifications.
        clock_offset: seconds by which its clock is ahead of the database's.
        away_since: when it last lost the database, by its own clock in epoch seconds. 0 means never since its start.
        away_until: when it had it back.
        away_why: the variant of ``store_unavailable`` that says why it lost it.
        away_sqlstate: the answer of the database then, where it gave one.
        starting: whether drivers of it have not told their readers yet since they were started.
    """

    listens: bool = False
    clock_offset: float = 0.0
    away_since: float = 0.0
    away_until: float = 0.0
    away_why: str = ""
    away_sqlstate: str = ""
    starting: bool = False


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """The readers that a request names, apart: by the station's id and the reader's id there, and by group."""

    readers: tuple[tuple[str, str], ...]
    groups: tuple[str, ...]

    def own(self, station: str) -> frozenset[str]:
        """Those of a station, by their ids there."""
        return frozenset(reader for where, reader in self.readers if where == station)

    def beyond(self, station: str) -> bool:
        """True if others than those of this station are meant."""
        return bool(self.groups) or any(where != station for where, _ in self.readers)

    def mean(self, station: str, groups: Iterable[str], reader: Reader) -> bool:
        """True if a reader of a station in these groups is meant."""
        return not set(self.groups).isdisjoint(groups) or (station, reader.id) in self.readers


def named(names: Iterable[str], station: str) -> Names:
    """Takes the names of a request apart, that was made at a station."""
    readers: set[tuple[str, str]] = set()
    groups: set[str] = set()
    for name in names:
        if name.startswith(GROUP):
            groups.add(name.removeprefix(GROUP))
        elif found := ELSEWHERE.fullmatch(name):
            readers.add((found["station"], found["reader"]))
        else:
            readers.add((station, name))
    return Names(readers=tuple(sorted(readers)), groups=tuple(sorted(groups)))


def site_name(reader: str, station: str) -> str:
    """The name of a reader that holds for the whole site."""
    return f"{reader}@{station}"


class SiteReaders:
    """The readers of the other desks of ``station``'s site; those in another mode are not seen."""

    def __init__(self, station: str, mode: StationMode) -> None:
        self._station = station
        self._mode: StationMode = mode
        self._desks: dict[str, DeskTold] = {}
        self._shown: dict[str, Reader] = {}

    @property
    def readers(self) -> tuple[Reader, ...]:
        """The readers, in the order of their names."""
        return tuple(self._shown[name] for name in sorted(self._shown))

    def hear(self, desks: Mapping[str, DeskTold]) -> list[tuple[str, Reader]]:
        """Takes over which desks there are and what they have; gives what is ``added``, ``changed`` or ``removed``."""
        self._desks = {
            station: told for station, told in desks.items() if station != self._station and told.mode == self._mode
        }
        before, self._shown = (
            self._shown,
            {
                reader.id: reader
                for station, told in self._desks.items()
                for reader in (_shown(each, station, told.name) for each in told.readers)
            },
        )
        news = [("removed", before[name]) for name in sorted(before.keys() - self._shown.keys())]
        for name, reader in sorted(self._shown.items()):
            if name not in before:
                news.append(("added", reader))
            elif reader != before[name]:
                news.append(("changed", reader))
        return news

    def audience(self, names: Names) -> frozenset[str]:
        """The stations of other desks that are meant, as far as they are there."""
        in_groups = (station for station, told in self._desks.items() if not set(names.groups).isdisjoint(told.groups))
        named = (station for station, _ in names.readers if station in self._desks)
        return frozenset(in_groups) | frozenset(named)

    def starting(self, names: Names) -> bool:
        """True if a desk that is meant has drivers that have not told their readers yet."""
        told = (self._desks[station].status for station in self.audience(names))
        return any(status is not None and status.starting for status in told)

    def hoped_for(self, names: Names, media: frozenset[str]) -> bool:
        """True if a reader of another desk may give what is asked for."""
        return any(
            reader.state != "unavailable"
            and not media.isdisjoint(reader.media)
            and names.mean(station, told.groups, reader)
            for station, told in self._desks.items()
            for reader in told.readers
        )


def _shown(reader: Reader, station: str, name: str) -> Reader:
    return msgspec.structs.replace(
        reader, id=site_name(reader.id, station), station=ReaderStation(id=station, name=name)
    )
