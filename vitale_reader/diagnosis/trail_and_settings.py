"""Checks that a person asks for one by one: the audit trail, and the settings file. A setting can be changed."""

from typing import TYPE_CHECKING, Final

from vitale_protocol.catalogue import Language
from vitale_protocol.diagnosis.check_results import Subject, of_error
from vitale_protocol.diagnosis.findings import Finding, tell
from vitale_protocol.errors import ConfigurationInvalid, VitaleError
from vitale_protocol.methods import AuditChain, AuditFault, AuditVerified, ConfigChanged, ConfigChecked, Settable
from vitale_reader.daemon.config import load, located, readable_by_others, shown
from vitale_reader.diagnosis import settings_file
from vitale_reader.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Connection

    from vitale_reader.daemon.offline_store import Opened
    from vitale_reader.daemon.store.audit_trail.verification import Verified
    from vitale_reader.daemon.store.sealed_table import TableFault

__all__ = ["SETTABLE", "set_one", "settings", "trail"]

_EITHER: Final = ("true", "false")

#: What the dashboard changes: nothing that locks its owner out, lets somebody in, weakens a check, or is a secret.
SETTABLE: Final = (
    Settable(key="station.name"),
    Settable(key="station.language", choices=("fr", "en")),
    Settable(key="log.level", choices=("debug", "info", "warning", "error")),
    Settable(key="log.file", choices=_EITHER),
    Settable(key="tokens.lifetime"),
    Settable(key="apcv.timeout"),
)


def trail(home: Home, language: Language) -> AuditVerified:
    """Checks the chains of the trail, and the seals of the store.

    Args:
        home: of the station.
        language: of the texts.
    """
    from vitale_reader.daemon.offline_store import beside  # noqa: PLC0415  part of an extra

    try:
        chains, faults = beside(home, _verified)
    except VitaleError as error:
        return AuditVerified(whole=False, problem=_told(error, "store", language))
    return AuditVerified(
        whole=all(each.broken is None for each in chains) and not faults,
        chains=tuple(_chain(each) for each in chains),
        faults=tuple(AuditFault(table=each.table, key=str(each.key), why=each.why) for each in faults),
    )


def _verified(opened: "Opened") -> "Callable[[Connection], tuple[list[Verified], list[TableFault]]]":
    from vitale_reader.daemon.store.audit_trail.verification import Verifier  # noqa: PLC0415  part of an extra
    from vitale_reader.daemon.store.inspection import inspect  # noqa: PLC0415

    verifier = Verifier(opened.vault, opened.station)
    return lambda connection: (
        verifier.verify(connection, opened.remembered.anchor),
        inspect(connection, opened.vault, opened.remembered),
    )


def _chain(found: "Verified") -> AuditChain:
    broken = found.broken
    return AuditChain(
        station=found.station or None,
        rows=found.rows,
        broken=None if broken is None else broken.why,
        row=None if broken is None else broken.number,
    )


def settings(home: Home, language: Language) -> ConfigChecked:
    """Checks the file of the settings as a start of the daemon would.

    Args:
        home: of the station.
        language: of the texts.
    """
    from vitale_reader.daemon import config_check  # noqa: PLC0415  part of an extra

    file = home.config
    told, problem, readable = None, None, False
    try:
        config = load(file)
        told, readable = shown(config), readable_by_others(file)
        config_check.check(home, config)
    except ConfigurationInvalid as error:
        problem = _told(located(error, file), "configuration", language)
    except VitaleError as error:
        problem = _told(error, "configuration", language)
    return ConfigChecked(
        path=str(file),
        exists=file.exists(),
        settings=told,
        problem=problem,
        readable_by_others=readable,
        settable=SETTABLE,
    )


def set_one(home: Home, key: str, word: str, language: Language) -> ConfigChanged:
    """Changes a setting of those that the dashboard changes, as ``vitale-reader config set`` does.

    Args:
        home: of the station.
        key: the setting.
        word: its value, as it was typed.
        language: of the texts.
    """
    try:
        if all(key != each.key for each in SETTABLE):
            raise ConfigurationInvalid("this setting is not changed here", variant="not_here", data={"path": key})
        return ConfigChanged(key=key, changed=settings_file.change(home, key, word).differs)
    except ConfigurationInvalid as error:
        problem = _told(located(error, home.config), "configuration", language)
    except VitaleError as error:
        problem = _told(error, "configuration", language)
    except OSError as error:
        refused = ConfigurationInvalid(str(error), variant="not_written", data={"path": key})
        problem = _told(refused, "configuration", language)
    return ConfigChanged(key=key, changed=False, problem=problem)


def _told(error: VitaleError, subject: Subject, language: Language) -> Finding:
    return tell(of_error(error, subject), language)
