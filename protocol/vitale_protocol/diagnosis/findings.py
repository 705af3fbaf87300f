"""Findings: rows in the words of the catalogue, shared by the command line, its JSON and the wire."""

import shlex
from collections.abc import Mapping
from typing import Any

import msgspec

from vitale_protocol import catalogue
from vitale_protocol.catalogue import Language
from vitale_protocol.diagnosis.check_results import CheckResult, FindingState, Subject

__all__ = ["Finding", "tell"]

#: Modes of a station in French.
_MODES = {"simulated": "simulé"}

#: What checks look at, in French and in English.
_CHECKED = {
    "folder": ("dossiers", "folders"),
    "clock": ("horloge", "clock"),
    "part": ("installation", "installation"),
    "confinement": ("confinement des pilotes", "confinement of drivers"),
    "daemon": ("service installé", "installed service"),
    "pcsc": ("service PC/SC", "PC/SC service"),
    "driver": ("appareils", "devices"),
    "configuration": ("configuration", "configuration"),
    "store": ("magasin", "store"),
    "resolver": ("service apCV", "apCV service"),
    "port": ("ports réseau", "network ports"),
    "browser": ("navigateurs", "browsers"),
}

#: Units of time in French and in English, from the longest with its seconds.
_UNITS = ((86_400, "j", "d"), (3_600, "h", "h"), (60, "min", "min"), (1, "s", "s"))


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


def tell(row: CheckResult, language: Language) -> Finding:
    """A row in words.

    Raises:
        KeyError: neither a finding nor an error of this catalogue.
    """
    if row.problem is not None:
        entry = catalogue.text(row.problem.reason, language, row.problem.variant)
        title, cause, remedy, detail = entry.title, entry.cause, entry.remedy, row.problem.detail
    else:
        words = catalogue.finding(row.id, language)
        values = {name: _spelt(value) for name, value in _for_people(row.values, language).items()}
        title, cause, remedy = (text.format_map(values) for text in (words.title, words.cause, words.remedy))
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


class _Spelt(str):
    """A text that a sentence may have as a word of a command: ``{place:shell}``."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        """The text, or the word for a shell."""
        return shlex.quote(self) if spec == "shell" else super().__format__(spec)


def _spelt(value: Any) -> Any:
    return _Spelt(value) if isinstance(value, str) else value


#: What lies in a reader, in French and in English.
_MEDIA = {
    "vitale-card": ("carte Vitale", "carte Vitale"),
    "cps-card": ("carte de professionnel", "professional's card"),
    "unknown-card": ("carte inconnue", "unknown card"),
}

#: Conventions of an answer to reset in French.
_CONVENTIONS = {"direct": "directe"}


def _for_people(values: Mapping[str, Any], language: Language) -> dict[str, Any]:
    """The values as a sentence has them: a mode in words, a time in the unit that fits."""
    said = dict(values)
    if language == "fr" and "mode" in said:
        said["mode"] = _MODES.get(said["mode"], said["mode"])
    if said.get("medium") in _MEDIA:
        said["medium"] = _MEDIA[said["medium"]][language == "en"]
    if language == "fr" and "convention" in said:
        said["convention"] = _CONVENTIONS.get(said["convention"], said["convention"])
    if "limit" in said:
        said["limit"] = max(1, round(said["limit"]))
    if "subject" in said:
        said["subject"] = _CHECKED[said["subject"]][language == "en"]
    if "uptime" in said:
        seconds = int(said["uptime"])
        size, french, english = next((unit for unit in _UNITS if seconds >= 2 * unit[0]), _UNITS[-1])
        said["uptime"] = f"{seconds // size} {french if language == 'fr' else english}"
    return said
