"""Problems in short, for tests that compare them."""

from typing import Any

from vitale_drivers.base import Progress
from vitale_protocol.errors import VitaleError
from vitale_protocol.problems import Problem

__all__ = ["about", "data_of", "detail_of", "named"]


def named(what: Problem | VitaleError | None) -> str:
    """Reason and variant, as ``reason.variant``; empty for no problem."""
    if what is None:
        return ""
    return f"{what.reason}.{what.variant}" if what.variant else what.reason


def about(report: Progress) -> str:
    """The problem or the medium that a step is about."""
    return named(report.problem) or report.medium


def data_of(problem: Problem | None) -> dict[str, Any]:
    """The members for programs of a problem that there is."""
    assert problem is not None
    return problem.data


def detail_of(problem: Problem | None) -> str:
    """The technical sentence of a problem that there is."""
    assert problem is not None
    return problem.detail
