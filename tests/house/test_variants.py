"""Reasons and variants: what the code can raise is in the catalogue, and what is in the catalogue can be raised.

The source is read, not run: each call of an error class, and each ``Problem``, names its variant where it stands.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from vitale_protocol import catalogue, errors
from vitale_protocol.catalogue import LANGUAGES, Language
from vitale_protocol.errors import VitaleError, concrete_errors
from vitale_protocol.events import LeaseWhy
from vitale_protocol.extras import EXTRAS
from vitale_protocol.tokens import CHECKS
from vitale_reader.daemon.arbitration.hub import CARDS, SERVICES
from vitale_reader.daemon.database.database_errors import FILES, VARIANTS, WORDS
from vitale_reader.daemon.issuing.replay import Reason

ROOT = Path(__file__).parents[2]
SOURCES = ("protocol", "drivers", "firmware-sim", "vitale_reader", "examples", "cli.py")
CLASSES: dict[str, type[VitaleError]] = {
    error.__name__: error for error in concrete_errors() if error.__module__ == errors.__name__
}
OF_ERROR = "the variant of an error or of a problem that was made elsewhere"

#: Variants that are no constants where they are named: what each expression may be, or why it names none of its own.
COMPUTED: dict[tuple[str, str], frozenset[str] | str] = {
    ("protocol/vitale_protocol/tokens.py", "check"): frozenset(CHECKS),
    ("protocol/vitale_protocol/media/codes.py", "kind"): frozenset({"nir", "mdoc", "openid4vp", "other"}),
    ("protocol/vitale_protocol/errors.py", "variant"): OF_ERROR,
    ("protocol/vitale_protocol/problems.py", "self.variant"): OF_ERROR,
    ("vitale_reader/cli/frame/output.py", "_VARIANTS.get(error.errno or 0, '')"): frozenset(
        {"disk_full", "read_only", "no_access", ""}
    ),
    ("vitale_reader/diagnosis/settings_file.py", "refused.variant or 'not_set'"): frozenset({"not_set"}),
    ("vitale_reader/daemon/config.py", "error.variant"): OF_ERROR,
    ("vitale_reader/daemon/config.py", "variant"): frozenset({"backslash", "syntax"}),
    ("protocol/vitale_protocol/session/wire_errors.py", "variant"): OF_ERROR,
    ("protocol/vitale_protocol/extras.py", "extra or ''"): frozenset({*EXTRAS, ""}),
    ("drivers/vitale_drivers/cards/lease.py", "why"): frozenset(get_args(LeaseWhy)),
    ("drivers/vitale_drivers/cards/tasks.py", "PHONE"): frozenset({"apcv-nfc"}),
    ("drivers/vitale_drivers/nfc/field.py", "MEDIUM"): frozenset({"apcv-nfc"}),
    # What takes readers of a kind; nothing where nobody can tell.
    ("drivers/vitale_drivers/nfc/devices.py", "known"): frozenset({"pn533", "pcscd", ""}),
    ("drivers/vitale_drivers/readers/health.py", "error.variant"): OF_ERROR,
    ("vitale_reader/daemon/arbitration/hub.py", "reader.medium"): frozenset(CARDS),
    ("vitale_reader/daemon/arbitration/hub.py", "service or ('named' if unknown else '')"): frozenset(
        {*SERVICES, "named", ""}
    ),
    # The system's service behind the readers; nothing where it is not the reason.
    ("vitale_reader/daemon/arbitration/hub.py", "service"): frozenset({*SERVICES, ""}),
    ("vitale_reader/daemon/arbitration/hub.py", "self._service(slot.reader.driver)"): frozenset({*SERVICES, ""}),
    ("vitale_reader/daemon/arbitration/hub.py", "self._service(driver)"): frozenset({*SERVICES, ""}),
    ("vitale_reader/daemon/arbitration/leases.py", "why"): frozenset(get_args(LeaseWhy)),
    ("vitale_reader/daemon/transports/port_holder.py", "in_use"): frozenset(
        {"port_in_use", "web_port_in_use", "metrics_port_in_use"}
    ),
    ("vitale_reader/diagnosis/desk/tcp_ports.py", "f'{table}_port_in_use'"): frozenset(
        {"web_port_in_use", "metrics_port_in_use"}
    ),
    ("vitale_reader/resolvers/exchange.py", "variant"): frozenset({"unreachable", "host", "certificate", "tls"}),
    ("vitale_reader/resolvers/apcv_soap.py", "meaning"): frozenset(
        {"assertion", "revoked", "suspended", "delegation", "unknown"}
    ),
    ("vitale_reader/daemon/database/database_errors.py", "variant"): frozenset(
        {*VARIANTS.values(), *FILES.values(), "database-refuses", ""}
    ),
    ("vitale_reader/daemon/database/database_errors.py", "found"): frozenset({variant for variant, _ in WORDS}),
    ("vitale_reader/daemon/issuing/replay.py", "found.why"): frozenset(get_args(Reason)),
    ("vitale_reader/daemon/store/store.py", "cause.variant"): OF_ERROR,
    ("vitale_reader/daemon/store/spool.py", "cause.variant"): OF_ERROR,
    ("vitale_reader/daemon/site/open_store.py", "cause.variant"): OF_ERROR,
    ("vitale_reader/daemon/site/backup.py", "error.variant"): OF_ERROR,
    ("vitale_reader/daemon/conversation.py", "error.variant or None"): OF_ERROR,
    ("vitale_reader/daemon/workers/worker.py", "problem.variant or None"): OF_ERROR,
    ("vitale_reader/resolvers/guarded.py", "self._last.variant or None if self._last else None"): OF_ERROR,
    # The kind of device that one program at a time can use.
    ("vitale_reader/diagnosis/station/devices.py", "_HELD.get(driver, '')"): frozenset({"scanner", "camera", ""}),
    ("vitale_reader/diagnosis/station/daemon_view.py", "driver.variant or ''"): OF_ERROR,
    ("vitale_reader/diagnosis/station/daemon_view.py", "resolver.variant or ''"): OF_ERROR,
    ("vitale_reader/cli/watch.py", "failure.variant or ''"): OF_ERROR,
}


@dataclass(frozen=True)
class Named:
    """A place where a reason is named with its variant; a reason that is empty is that of an error made elsewhere."""

    file: str
    line: int
    reason: str
    variant: ast.expr | None

    @property
    def variants(self) -> frozenset[str]:
        """The variants that may be meant; empty where they are those of something else."""
        if self.variant is None:
            return frozenset({""})
        if isinstance(self.variant, ast.Constant) and isinstance(self.variant.value, str):
            return frozenset({self.variant.value})
        found = COMPUTED[self.file, ast.unparse(self.variant)]
        return frozenset() if isinstance(found, str) else found


def sources() -> Iterator[Path]:
    for name in SOURCES:
        place = ROOT / name
        yield from sorted(place.rglob("*.py")) if place.is_dir() else [place]


def reason_of(node: ast.expr | None) -> str:
    """A reason as it is written: ``"replayed"`` or ``Replayed.reason``; empty for an expression of another kind."""
    match node:
        case ast.Constant(value=str(reason)):
            return reason
        case ast.Attribute(value=ast.Name(id=name), attr="reason") if name in CLASSES:
            return CLASSES[name].reason
        case _:
            return ""


def argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    """An argument by its place or by its name."""
    by_name = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    return call.args[place] if 0 <= place < len(call.args) else by_name


def named_in(file: Path) -> Iterator[Named]:
    """Calls of error classes and of ``Problem``, and other calls with a variant (``error(…, variant=…)``)."""
    name = file.relative_to(ROOT).as_posix()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id="Problem")):
                yield Named(name, node.lineno, reason_of(argument(node, 0, "reason")), argument(node, 1, "variant"))
            case ast.Call(func=ast.Name(id=called)) if called in CLASSES:
                yield Named(name, node.lineno, CLASSES[called].reason, argument(node, -1, "variant"))
            case ast.Call() if (variant := argument(node, -1, "variant")) is not None:
                yield Named(name, node.lineno, "", variant)
            case _:
                pass


@cache
def all_named() -> tuple[Named, ...]:
    """All of them; made once, and not by a process that runs none of these tests."""
    return tuple(named for file in sources() for named in named_in(file))


def test_the_scan_sees_what_there_is() -> None:
    assert len(all_named()) > 300
    assert {named.reason for named in all_named() if named.reason} <= {error.reason for error in CLASSES.values()}


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_can_be_raised_is_in_the_catalogue(language: Language) -> None:
    entries = catalogue.load(language).errors
    known = {(reason, variant) for reason, entry in entries.items() for variant in ("", *entry.variants)}
    lacking = [
        f"{named.file}:{named.line} {named.reason} {variant}"
        for named in all_named()
        if named.reason
        for variant in named.variants
        if (named.reason, variant) not in known
    ]
    assert lacking == []


def test_what_is_in_the_catalogue_can_be_raised() -> None:
    raised = {(named.reason, variant) for named in all_named() for variant in named.variants}
    told = {(reason, variant) for reason, entry in catalogue.load("fr").errors.items() for variant in entry.variants}
    assert told - raised == set()


def test_a_variant_is_named_where_its_reason_is() -> None:
    """An expression may pass on the variant of something else, and only that may do without a reason of its own."""
    assert [named for named in all_named() if not named.reason and named.variants - {""}] == []


def test_no_expression_is_listed_that_is_not_there() -> None:
    there = {(named.file, ast.unparse(named.variant)) for named in all_named() if named.variant is not None}
    assert COMPUTED.keys() - there == set()
