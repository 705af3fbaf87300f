"""The catalogue: complete in both languages, useful, and in French as French is written."""

import re
import tomllib
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, get_args

import pytest

from vitale_protocol import catalogue, errors
from vitale_protocol.catalogue import (
    LANGUAGES,
    Entry,
    Language,
    invitation,
    reasons,
    remedy,
    step_message,
    steps,
    text,
    variants,
)
from vitale_protocol.errors import concrete_errors
from vitale_protocol.events import Step
from vitale_protocol.media import WARNINGS
from vitale_protocol.records import Medium
from vitale_protocol.tokens import CHECKS
from vitale_reader.cli.root import COMMANDS

ERRORS = [error.reason for error in concrete_errors() if error.__module__ == errors.__name__]
# Warnings that no parser of a medium gives: those of a resolver and of a site.
ANNOUNCED = ("rights_stale", "delegation", "store_degraded")


def source(language: Language) -> dict[str, Any]:
    """The file of a language, read without the code under test."""
    return tomllib.loads(resources.files(catalogue).joinpath(f"{language}.toml").read_text("utf-8"))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a file with its place."""
    if isinstance(value, str):
        yield path, value
        return
    for name, member in value.items():
        yield from leaves(member, f"{path}.{name}")


TEXTS = {language: dict(leaves(source(language))) for language in LANGUAGES}
EVERY = [(language, path, said) for language in LANGUAGES for path, said in TEXTS[language].items()]


def test_both_languages_say_the_same_things() -> None:
    assert TEXTS["fr"].keys() == TEXTS["en"].keys()


def test_every_error_has_a_text_and_every_text_an_error() -> None:
    assert set(source("en")["errors"]) == set(ERRORS)


def test_every_warning_has_a_text_and_every_text_a_warning() -> None:
    assert set(source("en")["warnings"]) == {*WARNINGS, *ANNOUNCED}
    assert reasons() == {*ERRORS, *WARNINGS, *ANNOUNCED}


def test_every_step_has_a_message_and_every_reason_of_a_message_is_an_error() -> None:
    plain = {step for step in steps() if "." not in step}
    assert plain == set(get_args(Step))
    assert {step.partition(".")[0] for step in steps()} == plain
    about = [step.partition(".")[2].partition(".") for step in steps() if "." in step]
    assert {reason for reason, _, _ in about} <= {*ERRORS, *get_args(Medium)}
    assert all(variant in variants(reason) for reason, _, variant in about if variant)


def test_every_check_of_a_token_has_its_variant() -> None:
    assert variants("token_invalid") == set(CHECKS)


@pytest.mark.parametrize(
    ("reason", "variant"),
    [
        ("medium_unsupported", "vitale-1"),
        ("medium_unsupported", "cps-card"),
        ("reader_unavailable", "pcsc"),
        ("resolver_unavailable", "unreadable"),
        ("resolver_refused", "assertion"),
        ("resolver_refused", "revoked"),
        ("limit_exceeded", "message_bytes"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_variant_replaces_only_what_it_knows_better(reason: str, variant: str, language: Language) -> None:
    assert variant in variants(reason)
    written = source(language)["errors"][reason]
    better = written["variants"][variant]
    expected = {part: better.get(part, written[part]) for part in ("title", "cause", "remedy")}
    assert text(reason, language, variant) == Entry(**expected)


def test_an_unknown_variant_is_as_good_as_none() -> None:
    assert text("token_invalid", "en", "weather") == text("token_invalid", "en") == text("token_invalid", "en", "")


def test_warnings_are_told_like_errors() -> None:
    assert text("nir_missing", "fr").title == "NIR absent"
    assert variants("nir_missing") == frozenset()


def test_a_remedy_is_told_of_what_calls_for_one() -> None:
    assert remedy("medium_removed", "fr", "phone") == text("medium_removed", "fr", "phone").remedy
    assert remedy("medium_removed", "fr") == text("medium_removed", "fr").remedy
    assert remedy("weather", "fr") is None


def test_what_is_not_in_the_catalogue_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        text("weather", "en")
    with pytest.raises(KeyError):
        variants("weather")
    with pytest.raises(KeyError):
        step_message("weather", "en")


@pytest.mark.parametrize(
    ("media", "french", "english"),
    [
        (
            [],
            "Insérez la carte Vitale ou présentez le téléphone.",
            "Please insert the carte Vitale, or present the phone.",
        ),
        (
            ["apcv-qr", "apcv-nfc", "vitale-card"],
            "Insérez la carte Vitale ou présentez le téléphone.",
            "Please insert the carte Vitale, or present the phone.",
        ),
        (["cps-card"], "Insérez la carte de professionnel.", "Please insert the professional’s card."),
        (
            ["apcv-qr"],
            "Montrez le code de l’application carte Vitale.",
            "Please show the code of the carte Vitale application.",
        ),
        (
            ["2d-doc", "ins-datamatrix", "tomorrow"],
            "Scannez le Datamatrix INS, ou scannez le code 2D-Doc.",
            "Please scan the INS Datamatrix, or scan the 2D-Doc code.",
        ),
        (
            ["ins-datamatrix", "vitale-card"],
            "Insérez la carte Vitale, ou scannez le Datamatrix INS.",
            "Please insert the carte Vitale, or scan the INS Datamatrix.",
        ),
    ],
)
def test_the_media_that_are_waited_for_are_asked_for(media: list[str], french: str, english: str) -> None:
    assert (invitation(media, "fr"), invitation(media, "en")) == (french, english)
    assert step_message("armed", "fr", ",".join(media)) == french


def test_each_medium_is_asked_for_in_words_of_its_own() -> None:
    told = {medium: invitation([medium], "fr") for medium in get_args(Medium)}
    assert len(set(told.values())) == len(told)


def test_no_phone_and_no_code_is_called_a_card() -> None:
    phones = [step_message(step, "fr", "apcv-nfc") for step in ("detected", "reading", "remove_card", "reinsert")]
    codes = [
        step_message(step, "fr", medium)
        for step in ("remove_card", "reinsert")
        for medium in ("apcv-qr", "ins-datamatrix", "2d-doc")
    ]
    assert [] == [said for said in phones if "téléphone" not in said.lower() or " code" in said]
    assert [] == [said for said in codes if "code" not in said]
    assert [] == [said for said in (*phones, *codes) if "la carte " in said or "la carte." in said]


def test_a_step_is_told_with_its_reason_where_there_is_one() -> None:
    assert step_message("retry", "en", "medium_mute") != step_message("retry", "en")
    assert step_message("retry", "en", "weather") == step_message("retry", "en")
    assert step_message("retry", "en", "medium_removed", "phone") != step_message("retry", "en", "medium_removed")
    assert step_message("retry", "en", "medium_removed", "weather") == step_message("retry", "en", "medium_removed")
    assert step_message("reading", "fr") == "Lecture en cours. Laissez la carte en place."


def is_sentence(path: str) -> bool:
    """Whether a text is one or more sentences; titles are not."""
    return path.startswith(".steps") or path.endswith((".cause", ".remedy"))


Check = Callable[[str, str], bool]

FORM: dict[str, Check] = {
    "nothing around it": lambda _, said: said == said.strip() != "",
    "begins with a capital": lambda _, said: said[:1].isupper() or said.startswith(("vitale-reader", "apCV", "{name}")),
    "one blank at a time": lambda _, said: "  " not in said,
    "a sentence ends with a full stop, a title without": lambda path, said: said.endswith(".") == is_sentence(path),
}


@pytest.mark.parametrize("check", FORM)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_form_of_every_text(language: Language, check: str) -> None:
    assert {path: said for path, said in TEXTS[language].items() if not FORM[check](path, said)} == {}


def without_code(said: str) -> str:
    return re.sub(r"`[^`]*`", "`…`", said)


# Imprimerie nationale: a no-break space before the colon, a narrow one before ; ? and !, guillemets spaced inside.
MISPRINTS = {
    "high punctuation without its space": r"[^\u00a0]:|[^\u202f][;?!]",
    "guillemets without their spaces, or none": r"«[^\u00a0]|[^\u00a0]»|\"",
    "an apostrophe that is not ’": r"'",
    "a no-break space before something else": r"[\u00a0\u202f](?![:;?!»])(?<!«.)",
}


@pytest.mark.parametrize("misprint", MISPRINTS)
def test_french_is_set_as_french(misprint: str) -> None:
    prose = {path: without_code(said) for path, said in TEXTS["fr"].items()}
    assert {path: said for path, said in prose.items() if re.search(MISPRINTS[misprint], said)} == {}


def test_no_english_is_left_in_french() -> None:
    english = re.compile(r"\b(the|and|of|is|not|with|card|reader|try|again|please|token|key|check)\b", re.IGNORECASE)
    # vitale-reader is a name; data.check is a member of the wire.
    named = re.compile(r"vitale-reader|data\.\w+")
    found = {path: said for path, said in TEXTS["fr"].items() if english.search(named.sub("", without_code(said)))}
    assert found == {}
    assert [path for path, said in TEXTS["fr"].items() if said == TEXTS["en"][path]] == []


#: Calques and words of another trade, with what the profession says instead.
UNUSUAL = {
    "valable": "valide",
    "incompris": "non conforme, inattendu",
    "en plastique": "carte Vitale (physique)",
    "scanner (?!»)": "douchette",
    "imageur": "douchette",
    "[Ll]ecteurs? de codes": "douchette",
    "manuel du lecteur": "manuel de la douchette",
    "QR code": "code QR",
    "tape comme": "émulation clavier",
    "Pas une? ": "… non reconnu",
    "résiste": "échoue",
}


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_the_words_are_those_of_the_profession(unusual: str) -> None:
    assert {path: said for path, said in TEXTS["fr"].items() if re.search(unusual, without_code(said))} == {}


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_are_not_told_of_members_of_a_message(language: Language) -> None:
    assert {path: said for path, said in TEXTS[language].items() if re.search(r"\bdata\.", said)} == {}


def test_accents_are_written() -> None:
    bare = re.compile(
        r"\b(a l|deja|reessayez|verifiez|cle|duree|meme|etre|lumiere|inseree?|presentez a)\b", re.IGNORECASE
    )
    assert {path: said for path, said in TEXTS["fr"].items() if bare.search(said)} == {}


@pytest.mark.parametrize(
    ("reason", "variant", "word"),
    [
        ("medium_mute", "", "puce"),
        ("medium_unsupported", "vitale-1", "ameli"),
        ("reader_unavailable", "pcsc", "systemctl start pcscd.socket"),
        ("simulated_refused", "", 'mode = "simulated"'),
        ("daemon_unreachable", "", "vitale-reader serve"),
        ("not_authenticated", "", "vitale-reader clients add"),
        ("configuration_invalid", "", "vitale-reader config check"),
    ],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_remedies_say_what_to_do(reason: str, variant: str, word: str, language: Language) -> None:
    said = text(reason, language, variant).remedy
    assert (word if language == "fr" or word != "puce" else "chip") in said


def test_only_commands_that_exist_are_recommended() -> None:
    used = {command for _, _, said in EVERY for command in re.findall(r"`vitale-reader ([\w-]+)", said)}
    assert used <= {*COMMANDS, "native-host"}


def test_a_language_is_read_once() -> None:
    assert catalogue.load("fr") is catalogue.load("fr")
