"""The texts of the catalogue that a counter can meet, and which of them somebody was shown.

A text has a key: ``steps.retry.medium_mute``, ``errors.medium_removed.phone``, ``warnings.nir_missing``. A step that
something is wrong is shown with the remedy of its error: that is the error's text as well.
"""

from collections.abc import Collection, Iterable, Iterator

from vitale_protocol import catalogue
from vitale_protocol.catalogue import LANGUAGES, Entry, Language
from vitale_protocol.events import PresentationProgress
from vitale_protocol.records import Medium

__all__ = ["ELSEWHERE", "counter_texts", "error_key", "step_keys", "with_equals"]

#: The errors that end a reading at a counter, or that delay it.
_ERRORS = (
    "no_reader",
    "reader_gone",
    "reader_busy",
    "reader_unavailable",
    "timeout",
    "cancelled",
    "ambiguous_medium",
    "medium_removed",
    "medium_mute",
    "medium_unsupported",
    "medium_unreadable",
    "payload_invalid",
    "replayed",
    "medium_expired",
    "mixed_origin",
    "simulated_refused",
    "opposed",
    "resolver_unavailable",
    "resolver_refused",
)

#: Variants for whoever looks after a desk: `vitale-reader doctor` tells them, and no reading ends with them.
_OF_DOCTOR = frozenset({"errors.medium_unsupported.driver", "errors.resolver_unavailable.own-certificate"})

#: Texts that no situation of the page shows, and why.
ELSEWHERE: dict[str, str] = {
    "errors.reader_unavailable.nfc-driver": "Windows alone, which gives a reader to no program without a driver for it",
}


def counter_texts() -> frozenset[str]:
    """The keys of all texts that a reading can show."""
    texts = catalogue.load("fr")
    texts_of_all = (
        *(f"steps.{key}" for key in texts.steps),
        *(f"warnings.{warning}" for warning in texts.warnings),
        *(_key("errors", reason, variant) for reason in _ERRORS for variant in ("", *catalogue.variants(reason))),
    )
    return frozenset(texts_of_all) - _OF_DOCTOR


def with_equals(keys: Iterable[str]) -> frozenset[str]:
    """These keys, and those of errors of which people read the very same words."""
    shown = frozenset(keys)
    said = {_words(key) for key in shown if key.startswith("errors.")}
    return shown | {key for key in counter_texts() if key.startswith("errors.") and _words(key) in said}


def _words(key: str) -> tuple[Entry, ...]:
    _, reason, variant = (*key.split("."), "")[:3]
    return tuple(catalogue.text(reason, language, variant) for language in LANGUAGES)


def error_key(reason: str, variant: str) -> str:
    """The key of the text about an error; a variant that has none is told as its error."""
    return _key("errors", reason, variant if variant in catalogue.variants(reason) else "")


def step_keys(progress: PresentationProgress, language: Language, media: Collection[Medium]) -> frozenset[str]:
    """The keys of the texts that a step showed, and the error whose remedy stood beside it.

    Raises:
        AssertionError: this step never says that.
    """
    if progress.step == "armed":
        assert catalogue.invitation(media, language) == progress.message
        plain = progress.message == catalogue.step_message("armed", language)
        return frozenset({"steps.armed"} if plain else {f"steps.armed.{medium}" for medium in media})
    found = frozenset(
        f"steps.{key}"
        for key, said in catalogue.load(language).steps.items()
        if key.partition(".")[0] == progress.step and said == progress.message
    )
    assert found, f"{progress.step} never says {progress.message!r}"
    return found if progress.remedy is None else found | {*_errors(progress, language)}


def _errors(progress: PresentationProgress, language: Language) -> Iterator[str]:
    for reason in catalogue.reasons() - catalogue.load(language).warnings.keys():
        for variant in ("", *catalogue.variants(reason)):
            said = catalogue.step_message(progress.step, language, reason, variant)
            if (said, catalogue.remedy(reason, language, variant)) == (progress.message, progress.remedy):
                yield error_key(reason, variant)


def _key(*words: str) -> str:
    return ".".join(word for word in words if word)
