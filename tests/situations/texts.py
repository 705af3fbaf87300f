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

#: Texts that no situation of the page shows, and why.
ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(
        ("errors.reader_busy.camera", "steps.retry.reader_busy.camera"),
        "needs a camera on USB, which nothing simulates without the rights of the system",
    ),
    **dict.fromkeys(
        (
            "errors.reader_busy.pcscd",
            "errors.reader_busy.pn533",
            "steps.retry.reader_busy.pcscd",
            "steps.retry.reader_busy.pn533",
        ),
        "needs a contactless reader on USB, which PC/SC or the kernel has taken",
    ),
    **dict.fromkeys(
        (
            "errors.no_reader.pcsc-refused",
            "errors.reader_gone.pcsc-refused",
            "errors.reader_unavailable.pcsc-refused",
        ),
        "needs a desktop where polkit refuses the user",
    ),
    "errors.reader_unavailable.nfc-driver": "Windows alone, which gives a reader to no program without a driver for it",
    "errors.medium_unsupported.driver": "the contract of drivers refuses such a driver before it is installed",
    **dict.fromkeys(
        ("errors.resolver_unavailable.host", "errors.resolver_unavailable.own-certificate"),
        "`vitale-reader doctor` tells it",
    ),
    **dict.fromkeys(
        tuple(f"steps.reinsert.{medium}" for medium in ("apcv-nfc", "apcv-qr", "ins-datamatrix", "2d-doc")),
        "as for the card that stayed in the slot, which a page asks for again",
    ),
    **dict.fromkeys(
        tuple(f"steps.remove_card.{medium}" for medium in ("apcv-nfc", "apcv-qr", "ins-datamatrix", "2d-doc")),
        "as for the card that two windows wait for",
    ),
    "errors.opposed": "needs the serial of a card, which no simulated rights have",
    "errors.payload_invalid": "the codes that are refused have a reason of their own",
    "errors.reader_unavailable.scanner": "needs a port that refuses its settings; a simulated one takes them all",
    "warnings.store_degraded": "needs a site whose database is away",
}


def counter_texts() -> frozenset[str]:
    """The keys of all texts that a reading can show."""
    texts = catalogue.load("fr")
    return frozenset(
        (
            *(f"steps.{key}" for key in texts.steps),
            *(f"warnings.{warning}" for warning in texts.warnings),
            *(_key("errors", reason, variant) for reason in _ERRORS for variant in ("", *catalogue.variants(reason))),
        )
    )


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
