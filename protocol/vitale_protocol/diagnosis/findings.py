"""Findings: rows in the words of the catalogue, shared by the command line, its JSON and the wire."""

from typing import Any

import msgspec

from vitale_protocol import catalogue
from vitale_protocol.catalogue import Language
from vitale_protocol.diagnosis.rows import FindingState, Row, Subject

__all__ = ["Finding", "tell"]


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finding of ``doctor``, told in one language.

    ``id`` is stable for programs: a finding of the catalogue, or an error's reason with its variant. ``state`` is
    ``note`` for what may be as it should. ``detail`` is one technical sentence in English. ``data`` has further members
    for programs, without personal data.
    """

    id: str
    subject: Subject
    state: FindingState
    title: str
    cause: str = ""
    remedy: str = ""
    detail: str = ""
    data: dict[str, Any] = {}


def tell(row: Row, language: Language) -> Finding:
    """A row in words.

    Raises:
        KeyError: neither a finding nor an error of this catalogue.
    """
    if row.problem is not None:
        entry = catalogue.text(row.problem.reason, language, row.problem.variant)
        title, cause, remedy, detail = entry.title, entry.cause, entry.remedy, row.problem.detail
    else:
        words = catalogue.finding(row.id, language)
        title, cause, remedy = (text.format_map(row.values) for text in (words.title, words.cause, words.remedy))
        detail = ""
    return Finding(
        id=row.id,
        subject=row.subject,
        state=row.state,
        title=title,
        cause=cause if row.state != "ok" else "",
        remedy=remedy if row.state != "ok" else "",
        detail=detail,
        data=row.values,
    )
