"""Work on a station's store beside its daemon, or where none runs: the same files, keys and configuration."""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError

from vitale_protocol.errors import LocalMisuse
from vitale_reader.daemon.config import load
from vitale_reader.daemon.database.database_errors import refusal
from vitale_reader.daemon.database.target import Target
from vitale_reader.daemon.keystore.station_keys import DeskClock
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.site.open_store import anchor_file, look_into, open_keys
from vitale_reader.daemon.store.local_anchor import Remembered
from vitale_reader.home import Home

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Beside", "Opened", "beside", "opened_store", "reach"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Parts of the station for commands: the keys of the store, its UUID, the end of its audit trail."""

    vault: Vault
    station: str
    remembered: Remembered
    dialect: str


class Beside(Protocol):
    """Function that runs work in one transaction of the store, each time that it is called."""

    def __call__(self, work: "Callable[[Connection], T]", /) -> T:
        """Runs the work in one transaction."""
        ...


def beside(home: Home, work: "Callable[[Opened], Callable[[Connection], T]]", *, writing: bool = False) -> T:
    """Does something in one transaction of the store; a station is not made by that.

    Raises:
        ConfigurationInvalid: the station cannot be used.
        LocalMisuse: there is no station.
        StoreUnavailable: there is no store, or it does not answer.
    """
    with opened_store(home, writing=writing) as (opened, run):
        return run(work(opened))


@contextmanager
def opened_store(home: Home, *, writing: bool = False) -> Generator[tuple[Opened, Beside]]:
    """The store of a station, for several transactions; a station is not made by that.

    Raises:
        ConfigurationInvalid, LocalMisuse, StoreUnavailable: as ``beside``.
    """
    config = load(home.config)
    secrets_file = home.state / "station.json"
    if not secrets_file.exists():
        raise LocalMisuse(f"no daemon was ever started in {home.state}", data={"file": str(secrets_file)})
    keys = open_keys(home, config, clock=DeskClock(lambda: 0.0))
    store, vault = look_into(home, config, keys, reading=not writing)
    opened = Opened(
        vault=vault,
        station=keys.station,
        remembered=Remembered.read(anchor_file(home, config)),
        dialect="sqlite" if config.store == "sqlite" else "postgresql",
    )
    with asyncio.Runner() as runner:

        def run(work: "Callable[[Connection], T]", /) -> T:
            return runner.run(store.run(work))

        try:
            yield opened, run
        finally:
            runner.run(store.close())


def reach(url: str) -> None:
    """Connects to the database of a site and goes again; no key is needed for that.

    Raises:
        ConfigurationInvalid: the URL is none.
        ToolMissing: the package for PostgreSQL is not installed.
        StoreUnavailable: nobody is there, or does not let us in.
    """
    target = Target.of(url)
    try:
        with create_engine("postgresql+psycopg://", creator=target.connect, poolclass=NullPool).connect():
            pass
    except SQLAlchemyError as error:
        raise refusal(error) from error
