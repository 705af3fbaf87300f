"""What a driver's report says: which reader it is about, what of it may be logged, and the error that it tells."""

from typing import Any

from vitale_drivers.base import (
    Failed,
    Health,
    Presented,
    PreviewFrame,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
)
from vitale_protocol.errors import MediumUnreadable, VitaleError, by_reason

__all__ = ["error_of", "reader_of", "told"]


def reader_of(report: Report) -> str | None:
    """The reader that a report speaks of."""
    match report:
        case ReaderAdded(reader=reader) | ReaderChanged(reader=reader):
            return reader.id
        case (
            ReaderRemoved(reader=name)
            | Progress(reader=name)
            | Presented(reader=name)
            | Failed(reader=name)
            | PreviewFrame(reader=name)
        ):
            return name
        case _:
            return None


def told(report: Report) -> str:
    """A report in a few words for the log, without anything that was read."""
    match report:
        case ReaderAdded(reader=reader) | ReaderChanged(reader=reader):
            said = f"{reader.id} {reader.state} {reader.medium or ''} {reader.error or ''}"
        case ReaderRemoved(reader=reader_id) | Presented(reader=reader_id):
            said = reader_id
        case Progress():
            said = f"{report.reader} {report.step} {report.reason}"
        case Failed():
            said = f"{report.reader} {report.reason}: {report.detail}"
        case Health():
            said = f"{report.state} {report.reason} {report.detail}"
        case _:
            said = ""
    return f"{type(report).__name__} {said}".rstrip()


def error_of(report: Failed) -> VitaleError:
    """The error that a failed reading tells."""
    error = by_reason(report.reason) or MediumUnreadable
    data: dict[str, Any] = dict(report.data)
    return error(report.detail, data=data)
