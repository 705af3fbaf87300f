"""Results of the checks of ``doctor``, without words."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

import msgspec

from vitale_protocol.errors import VitaleError
from vitale_protocol.problems import Problem

__all__ = ["SUBJECTS", "CheckResult", "FindingState", "Subject", "in_order", "of_error"]

FindingState = Literal["ok", "note", "wrong"]

#: From cause to consequence: without a disk there is no store, without the service no reader, without all no daemon.
Subject = Literal[
    "folder",
    "clock",
    "configuration",
    "part",
    "store",
    "port",
    "browser",
    "pcsc",
    "usb",
    "galss",
    "driver",
    "reader",
    "serial",
    "camera",
    "resolver",
    "daemon",
    "platform",
    "confinement",
    "card",
    "phone",
    "imager",
    "picture",
]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)


_STATES: tuple[FindingState, ...] = ("wrong", "note", "ok")


class CheckResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Result of one check, without words.

    Attributes:
        id: an entry of the catalogue's findings; of an error, its reason, and its variant after a full stop.
        subject: what was looked at.
        state: ``ok``, ``note`` for what may be as it should, ``wrong``.
        values: what the words name, and further members for programs; no personal data.
        problem: the error whose words are told; None for those of the findings.
    """

    id: str
    subject: Subject
    state: FindingState
    values: dict[str, Any] = {}
    problem: Problem | None = None


def of_error(
    error: VitaleError | Problem,
    subject: Subject,
    values: Mapping[str, Any] | None = None,
    *,
    state: FindingState = "wrong",
) -> CheckResult:
    """The result that tells an error or a problem.

    Args:
        error: which.
        subject: what was looked at.
        values: further members for programs.
        state: ``note`` where it may be as it should.
    """
    problem = Problem.of(error) if isinstance(error, VitaleError) else error
    name = ".".join(filter(None, (problem.reason, problem.variant)))
    return CheckResult(
        id=name, subject=subject, state=state, values={**problem.data, **(values or {})}, problem=problem
    )


def in_order(rows: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Rows in the order in which people need them: what is wrong first, causes before their consequences."""
    return tuple(sorted(rows, key=lambda row: (_STATES.index(row.state), SUBJECTS.index(row.subject))))
