"""Work of a command on a station's store beside its daemon, or where none runs."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from vitale_protocol.errors import LocalMisuse
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Home

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vitale_reader.daemon.offline_store import Beside, Opened

__all__ = ["beside", "opened_store"]

T = TypeVar("T")


def beside(home: Path | None, work: "Callable[[Opened], Callable[[Connection], T]]", *, writing: bool = False) -> T:
    """Does something in one transaction of the store; a station is not made by that.

    Raises:
        ConfigurationInvalid: the station cannot be used.
        LocalMisuse: there is no station.
        StoreUnavailable: there is no store, or it does not answer.
    """
    with opened_store(home, writing=writing) as (opened, run):
        return run(work(opened))


@contextmanager
def opened_store(home: Path | None, *, writing: bool = False) -> "Generator[tuple[Opened, Beside]]":
    """The store of a station, for several transactions; a station is not made by that.

    Raises:
        ConfigurationInvalid, LocalMisuse, StoreUnavailable: as ``beside``.
    """
    from vitale_reader.daemon import offline_store

    place = Home.chosen(home)
    with _in_words(place), offline_store.opened_store(place, writing=writing) as opened:
        yield opened


@contextmanager
def _in_words(place: Home) -> Generator[None]:
    """Says in the language in use that there is no station."""
    try:
        yield
    except LocalMisuse as error:
        if error.data.get("file") != str(place.state / "station.json"):
            raise
        why = t("aucun service n’a encore démarré dans", "no daemon was ever started in")
        raise LocalMisuse(f"{why} {place.state}", data=error.data) from error
