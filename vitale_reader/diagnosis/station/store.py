"""The store of the station, or the database of its site: its availability, its integrity, and its clock."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import msgspec

from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.errors import ConfigurationInvalid, StoreUnavailable, ToolMissing, VitaleError
from vitale_protocol.extras import missing_part
from vitale_reader.daemon.config import Config
from vitale_reader.home import Home

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from vitale_reader.daemon.offline_store import Opened

__all__ = ["look"]


class StoreFindings(msgspec.Struct, frozen=True, kw_only=True):
    """Findings in the store: its integrity, and the deviation of this desk's clock."""

    whole: bool
    offset: float


def look(home: Home, config: Config) -> Iterator[CheckResult]:
    """Looks at the store; a station is not made by that."""
    for aside in sorted(home.state.glob("*.corrupt-*Z")):
        yield CheckResult(id="store_set_aside", subject="store", state="wrong", values={"file": str(aside)})
    alone = config.store == "sqlite"
    if missing_part("daemon", "the daemon") is not None:
        return
    if not (home.state / "station.json").exists():  # nothing was ever kept here
        if not alone:
            yield from _reached(config.store)
        return
    from vitale_reader.daemon.offline_store import beside  # noqa: PLC0415  part of an extra

    try:
        looked = beside(home, _integrity)
    except ConfigurationInvalid as error:
        yield of_error(error, "configuration", {"file": str(home.config)})
    except VitaleError as error:
        yield of_error(error, "store")
    else:
        yield from _kept(looked, alone=alone)


def _reached(url: str) -> Iterator[CheckResult]:
    """Connects to the database of a site, for a desk that has no keys of its own yet."""
    from vitale_reader.daemon.offline_store import reach  # noqa: PLC0415  part of an extra

    try:
        reach(url)
    except (ConfigurationInvalid, ToolMissing):
        return  # told by the check of the configuration
    except StoreUnavailable as error:
        yield of_error(error, "store")
    else:
        yield CheckResult(id="site_answers", subject="store", state="ok")


def _integrity(opened: "Opened") -> "Callable[[Connection], StoreFindings]":
    from vitale_reader.daemon.store.audit_trail.chain import Chain  # noqa: PLC0415  part of an extra
    from vitale_reader.daemon.store.clock import StoreClock  # noqa: PLC0415
    from vitale_reader.daemon.store.inspection import inspect  # noqa: PLC0415
    from vitale_reader.daemon.store.migrate import survey  # noqa: PLC0415

    def work(connection: "Connection") -> StoreFindings:
        survey(connection)
        chain = Chain(opened.vault, opened.station)
        clock = StoreClock(opened.remembered, shared=opened.dialect == "postgresql")
        clock.read(connection)
        end, known = chain.anchor(connection), opened.remembered.anchor
        reached = known is None or (end is not None and end.number >= known.number)
        faults = inspect(connection, opened.vault, opened.remembered)
        whole = reached and not faults and chain.verifier.unresolved(connection) is None
        return StoreFindings(whole=whole, offset=clock.offset)

    return work


def _kept(looked: StoreFindings, *, alone: bool) -> Iterator[CheckResult]:
    from vitale_reader.daemon.store.clock import TOLD_OFF  # noqa: PLC0415  part of an extra

    if not looked.whole:
        yield CheckResult(id="store_changed", subject="store", state="wrong")
    else:
        yield CheckResult(id="store_whole" if alone else "site_answers", subject="store", state="ok")
    if abs(looked.offset) > TOLD_OFF:
        values = {"seconds": f"{round(looked.offset):+d}"}
        yield CheckResult(id="site_clock", subject="clock", state="wrong", values=values)
