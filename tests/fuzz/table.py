"""The table that ``make fuzz`` ends with."""

from collections.abc import Mapping

from tests.fuzz.ledger import Record

__all__ = ["row", "table"]

_COLUMNS = "{:18} {:>8} {:>11} {:>7} {:>7} {:>9}"


def row(name: str, record: Record) -> str:
    """The row of one target."""
    counts = (record.runs, record.edges, record.corpus, len(record.findings))
    return _COLUMNS.format(name, f"{record.seconds:.0f}", *counts)


def table(records: Mapping[str, Record]) -> str:
    """The rows of targets, below their names and above their sum."""
    head = _COLUMNS.format("target", "seconds", "runs", "edges", "corpus", "findings")
    had = [*records.values()]
    seconds, findings = sum(one.seconds for one in had), sum(len(one.findings) for one in had)
    last = _COLUMNS.format(f"{len(had)} targets", f"{seconds:.0f}", sum(one.runs for one in had), "", "", findings)
    return "\n".join((head, *(row(name, record) for name, record in records.items()), last.rstrip()))
