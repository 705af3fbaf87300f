"""Texts for people: title, cause and remedy of every error, warning and finding, in French and English.

The texts are in ``fr.toml`` and ``en.toml``. Each is read once, when its first text is asked for.
"""

from collections.abc import Iterable
from functools import cache
from typing import Literal, get_args

import msgspec

__all__ = [
    "LANGUAGES",
    "Entry",
    "Language",
    "finding",
    "findings",
    "invitation",
    "reasons",
    "remedy",
    "step_message",
    "steps",
    "text",
    "variants",
]

Language = Literal["fr", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_ORDER = ("vitale-card", "cps-card", "apcv-nfc", "apcv-qr", "ins-datamatrix", "2d-doc")
_USUAL = {"vitale-card", "apcv-nfc", "apcv-qr"}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Text about one error or warning.

    Attributes:
        title: what happened, in a few words.
        cause: why, as far as is known.
        remedy: what to do now.
    """

    title: str
    cause: str
    remedy: str


class VariedEntry(Entry, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An entry with variants, each of which replaces what it knows better."""

    variants: dict[str, dict[Literal["title", "cause", "remedy"], str]] = {}


class FindingEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Text about a finding of ``doctor``, with names in braces for what was found.

    Without a remedy all is well.
    """

    title: str
    cause: str = ""
    remedy: str = ""


class Catalogue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All texts in one language."""

    errors: dict[str, VariedEntry]
    warnings: dict[str, VariedEntry]
    steps: dict[str, str]
    findings: dict[str, FindingEntry]

    def entry(self, reason: str) -> VariedEntry:
        """The entry of an error or of a warning."""
        return self.errors[reason] if reason in self.errors else self.warnings[reason]


@cache
def load(language: Language) -> Catalogue:
    """The catalogue of one language."""
    # Every process loads this module, and few of them ever tell a text: these two take a fifth of a worker's start.
    import tomllib  # noqa: PLC0415
    from importlib import resources  # noqa: PLC0415

    text_of_file = resources.files(__name__).joinpath(f"{language}.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text_of_file), Catalogue)


def text(reason: str, language: Language, variant: str = "") -> Entry:
    """Returns the text about an error or a warning.

    Args:
        reason: the ``reason`` of an error class, or a warning of a token.
        language: the reader's.
        variant: the exact kind (``vitale-1``, ``expired``, ``pcscd`` …). One that is not in the catalogue has no
            effect.

    Raises:
        KeyError: no such reason.
    """
    entry = load(language).entry(reason)
    better = entry.variants.get(variant, {})
    return Entry(
        title=better.get("title", entry.title),
        cause=better.get("cause", entry.cause),
        remedy=better.get("remedy", entry.remedy),
    )


def finding(name: str, language: Language) -> Entry:
    """The text about a finding of ``doctor``, with names in braces.

    Raises:
        KeyError: no such finding.
    """
    entry = load(language).findings[name]
    return Entry(title=entry.title, cause=entry.cause, remedy=entry.remedy)


def findings() -> frozenset[str]:
    """The findings that have a text."""
    return frozenset(load("fr").findings)


def variants(reason: str) -> frozenset[str]:
    """The variants of an error or a warning.

    Raises:
        KeyError: no such reason.
    """
    return frozenset(load("fr").entry(reason).variants)


def remedy(reason: str, language: Language, variant: str = "") -> str | None:
    """Returns the remedy for a reason, chosen as by ``text``; None for a reason newer than this catalogue."""
    return text(reason, language, variant).remedy if reason in reasons() else None


def step_message(step: str, language: Language, about: str = "", variant: str = "") -> str:
    """Returns the message for a patient or practitioner about the progress of a presentation.

    Args:
        step: one of ``events.Step``.
        language: the reader's.
        about: the reason for the step (``medium_mute`` for a ``retry``), or the medium that it is about (``apcv-nfc``).
            For ``armed``, the media that are waited for, with commas between them. Ignored where it has no message of
            its own.
        variant: that of the reason (``phone`` for ``medium_removed``); likewise.

    Raises:
        KeyError: no such step.
    """
    if step == "armed":
        return invitation(about.split(","), language)
    messages = load(language).steps
    known = (f"{step}.{about}.{variant}", f"{step}.{about}", step)
    return messages[next((key for key in known if key in messages), step)]


def invitation(media: Iterable[str], language: Language) -> str:
    """Returns the sentence that asks for one of these media.

    A card and a phone together have a general sentence, which also stands for no medium.

    Media that are newer than this catalogue are left out.
    """
    steps = load(language).steps
    wanted = [medium for medium in _ORDER if medium in set(media)]
    sentences = [steps[f"armed.{medium}"] for medium in wanted]
    if not sentences or ("vitale-card" in wanted and set(wanted) <= _USUAL and len(wanted) > 1):
        return steps["armed"]
    first, *others = (sentence.removesuffix(".") for sentence in sentences)
    either, courtesy = (", ou ", "") if language == "fr" else (", or ", "Please ")
    clauses = [other.removeprefix(courtesy) for other in others]
    return either.join((first, *(clause[0].lower() + clause[1:] for clause in clauses))) + "."


def reasons() -> frozenset[str]:
    """The reasons of all errors and warnings that have a text."""
    catalogue = load("fr")
    return frozenset(catalogue.errors) | frozenset(catalogue.warnings)


def steps() -> frozenset[str]:
    """The steps that have a message; ``step.reason`` where a reason has its own."""
    return frozenset(load("fr").steps)
