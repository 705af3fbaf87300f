"""Errors across the wire: the catalogue's texts out, the same class back, and nothing that is nobody's business."""

from collections.abc import Mapping
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol import catalogue, errors
from vitale_protocol.catalogue import LANGUAGES, Language
from vitale_protocol.errors import (
    DaemonUnreachable,
    InternalError,
    JsonValue,
    MediumUnsupported,
    PresentationTimeout,
    ReaderError,
    RemoteError,
    VitaleError,
    concrete_errors,
)
from vitale_protocol.problems import Problem
from vitale_protocol.session.jsonrpc import Failure
from vitale_protocol.session.wire_errors import ErrorObject, from_wire, to_wire

TRAVELLING = [error for error in concrete_errors() if error.__module__ == errors.__name__ and error.code]


def received(wire: ErrorObject) -> VitaleError:
    return from_wire(Failure(1, wire["code"], wire["message"], dict(wire["data"])))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("error", TRAVELLING, ids=lambda error: error.__name__)
def test_every_error_travels_and_comes_back_as_its_class(error: type[VitaleError], language: Language) -> None:
    wire = to_wire(error("why", data={"reader": "r-1"}), language)
    assert wire["data"]["reason"] == error.reason
    assert wire["data"]["retryable"] is error.retryable
    assert wire["message"]
    assert wire["data"]["cause"]
    assert wire["data"]["remedy"]
    back = received(wire)
    assert type(back) is error
    assert back.data["reader"] == "r-1"
    assert back.data["message"] == wire["message"]
    assert back.detail == ("" if error is InternalError else "why")


@pytest.mark.parametrize(
    "error",
    [
        DaemonUnreachable("secret", data={"file": "secret"}),
        RemoteError("secret"),
        ReaderError("secret"),
        VitaleError("secret"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_has_no_code_becomes_an_internal_error_without_a_word(error: VitaleError) -> None:
    wire = to_wire(error, "en")
    assert wire["code"] == InternalError.code
    assert "secret" not in repr(wire)


def test_the_data_of_an_error_cannot_replace_what_the_wire_says() -> None:
    wire = to_wire(PresentationTimeout(data={"reason": "x", "retryable": 1, "remedy": "x", "cause": "x"}), "en")
    assert wire["data"]["reason"] == "timeout"
    assert wire["data"]["retryable"] is True
    assert "x" not in (wire["data"]["remedy"], wire["data"]["cause"])


@pytest.mark.parametrize(
    ("reason", "variant"),
    [(error.reason, variant) for error in TRAVELLING for variant in sorted(catalogue.variants(error.reason))],
)
def test_every_variant_travels_and_comes_back(reason: str, variant: str) -> None:
    error = Problem(reason, variant).error(InternalError)
    wire = to_wire(error, "en")
    assert (wire["data"]["reason"], wire["data"]["variant"]) == (reason, variant)
    entry = catalogue.text(reason, "en", variant)
    assert (wire["message"], wire["data"]["cause"], wire["data"]["remedy"]) == (entry.title, entry.cause, entry.remedy)
    assert Problem.of(received(wire)).variant == variant


def test_where_no_variant_is_known_none_is_told() -> None:
    wire = to_wire(MediumUnsupported(data={"variant": "vitale-1", "generation": "vitale-1"}), "fr")
    assert "variant" not in wire["data"]
    assert wire["message"] == catalogue.text("medium_unsupported", "fr").title


def test_a_variant_of_a_newer_daemon_is_kept() -> None:
    back = from_wire(Failure(1, 1206, "Carte de demain", {"reason": "medium_unsupported", "variant": "vitale-9"}))
    assert (type(back), back.variant) == (MediumUnsupported, "vitale-9")
    assert "variant" not in back.data


def test_a_variant_changes_the_texts() -> None:
    vitale_1 = to_wire(MediumUnsupported(variant="vitale-1"), "fr")
    assert vitale_1["message"] == "Carte Vitale de première génération"
    assert "ameli" in str(vitale_1["data"]["remedy"])


def test_an_unknown_code_keeps_its_reason_and_its_texts() -> None:
    back = from_wire(Failure(1, 1999, "Patient endormi", {"reason": "patient_asleep", "detail": "zzz"}))
    assert type(back) is RemoteError
    assert back.detail == "zzz"
    assert back.data == {"code": 1999, "reason": "patient_asleep", "message": "Patient endormi"}


values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())


@given(
    st.integers(), st.text(), st.dictionaries(st.sampled_from(["detail", "reason", "variant", "message", "x"]), values)
)
def test_any_error_object_becomes_an_error(code: int, message: str, data: Mapping[str, object]) -> None:
    back = from_wire(Failure(1, code, message, dict(data)))
    assert isinstance(back, VitaleError)
    assert isinstance(back.detail, str)
    assert isinstance(back.variant, str)
    assert back.data["message"] == message


def test_the_failure_is_left_as_it_was() -> None:
    data: dict[str, JsonValue] = {"detail": "d"}
    from_wire(Failure(1, 1201, "m", cast("dict[str, object]", data)))
    assert data == {"detail": "d"}
