"""Content of a driver's report: its reader, the part that may be logged, the length of its texts."""

from typing import TypeVar

import msgspec

from vitale_drivers.base import (
    CodeScanned,
    Failed,
    Health,
    Log,
    Presented,
    PreviewPicture,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    WhoHolds,
)
from vitale_protocol.problems import Problem

__all__ = ["LONGEST", "bounded", "reader_of", "told"]

S = TypeVar("S", bound=msgspec.Struct)

#: Characters of a text of a driver: a name, a version, one sentence of what is wrong.
LONGEST = 300


def bounded(report: Report) -> Report:
    """The report with every text cut to ``LONGEST``; lines of the log and paths have limits of their own."""
    return report if isinstance(report, Log | WhoHolds) else _cut(report)


def _cut(struct: S) -> S:
    fields = {name: getattr(struct, name) for name in struct.__struct_fields__}
    changed: dict[str, object] = {
        name: value[:LONGEST] if isinstance(value, str) else _cut(value)
        for name, value in fields.items()
        if isinstance(value, str | msgspec.Struct)
    }
    return msgspec.structs.replace(struct, **changed)


def reader_of(report: Report) -> str | None:
    """The reader that a report speaks of."""
    match report:
        case ReaderAdded(reader=reader) | ReaderChanged(reader=reader):
            return reader.id
        case (
            ReaderRemoved(reader=name)
            | Progress(reader=name)
            | Presented(reader=name)
            | CodeScanned(reader=name)
            | Failed(reader=name)
            | PreviewPicture(reader=name)
        ):
            return name
        case _:
            return None


def told(report: Report) -> str:
    """A report in a few words for the log, without anything that was read."""
    match report:
        case ReaderAdded(reader=reader) | ReaderChanged(reader=reader):
            said = f"{reader.id} {reader.state} {reader.medium or ''} {reader.error or ''}"
        case ReaderRemoved(reader=reader_id) | Presented(reader=reader_id) | CodeScanned(reader=reader_id):
            said = reader_id
        case Progress():
            said = f"{report.reader} {report.step} {_named(report.problem) or report.medium}"
        case Failed():
            said = f"{report.reader} {_named(report.problem)}: {report.problem.detail}"
        case Health():
            said = f"{report.state} {_named(report.problem)} {report.problem.detail if report.problem else ''}"
        case _:
            said = ""
    return f"{type(report).__name__} {said}".rstrip()


def _named(problem: Problem | None) -> str:
    return "" if problem is None else f"{problem.reason} {problem.variant}".rstrip()
