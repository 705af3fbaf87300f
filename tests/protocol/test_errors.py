"""The error tree: one class a code, one code a reason, and the listings that speak of it agree with it."""

import re
from collections import Counter

import pytest

from vitale_protocol import errors
from vitale_protocol.errors import (
    LocalError,
    MediumMute,
    RemoteError,
    VitaleError,
    by_code,
    by_reason,
    concrete_errors,
)

OURS = [error for error in concrete_errors() if error.__module__ == errors.__name__]


def everything(root: type[VitaleError] = VitaleError) -> list[type[VitaleError]]:
    """The whole tree of the module, abstract classes included."""
    return [
        root,
        *(
            found
            for child in root.__subclasses__()
            if child.__module__ == errors.__name__
            for found in everything(child)
        ),
    ]


def test_codes_and_reasons_are_unique() -> None:
    assert [code for code, count in Counter(error.code for error in OURS if error.code).items() if count > 1] == []
    assert [reason for reason, count in Counter(error.reason for error in OURS).items() if count > 1] == []


def test_reasons_are_words_of_the_wire() -> None:
    assert [error.reason for error in OURS if not re.fullmatch(r"[a-z]+(_[a-z]+)*", error.reason)] == []


def test_everything_but_local_and_remote_errors_has_a_code() -> None:
    assert {error for error in OURS if not error.code} == {
        error for error in OURS if issubclass(error, LocalError | RemoteError)
    }


def test_the_table_of_the_wire() -> None:
    assert {error.code: error.reason for error in OURS if error.code} == {
        -32700: "parse_error",
        -32600: "invalid_request",
        -32601: "method_not_found",
        -32602: "invalid_params",
        -32603: "internal_error",
        1001: "not_authenticated",
        1002: "not_authorised",
        1003: "protocol_unsupported",
        1004: "limit_exceeded",
        1005: "shutting_down",
        1006: "pairing_failed",
        1007: "dashboard_unavailable",
        1101: "no_reader",
        1102: "reader_gone",
        1103: "reader_busy",
        1104: "reader_unavailable",
        1201: "timeout",
        1202: "cancelled",
        1203: "ambiguous_medium",
        1204: "medium_removed",
        1205: "medium_mute",
        1206: "medium_unsupported",
        1207: "medium_unreadable",
        1208: "payload_invalid",
        1209: "replayed",
        1210: "medium_expired",
        1211: "mixed_origin",
        1212: "simulated_refused",
        1213: "opposed",
        1301: "resolver_unavailable",
        1302: "resolver_refused",
        1303: "context_unknown",
        1304: "signature_unsupported",
        1401: "lease_conflict",
        1402: "lease_expired",
        1403: "card_error",
        1501: "token_invalid",
        1502: "store_unavailable",
    }


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    listed = dict(re.findall(r"[├└]── (\w+)(?: +(-?\d+))?", errors.__doc__ or ""))
    assert listed == {error.__name__: str(error.code or "") for error in everything()[1:]}


def test_every_class_is_public_and_documented() -> None:
    assert [error.__name__ for error in everything() if error.__name__ not in errors.__all__] == []
    assert [error.__name__ for error in everything() if not error.__doc__] == []


@pytest.mark.parametrize("error", OURS, ids=lambda error: error.__name__)
def test_a_class_is_found_by_its_code_and_by_its_reason(error: type[VitaleError]) -> None:
    assert by_reason(error.reason) is error
    if error.code:
        assert by_code(error.code) is error


def test_codes_and_reasons_of_others_are_nobodys() -> None:
    assert by_code(0) is None
    assert by_code(1999) is None
    assert by_reason("patient_asleep") is None
    assert by_reason("") is None


def test_an_error_is_told_by_reason_and_detail() -> None:
    assert str(MediumMute()) == "medium_mute"
    assert str(MediumMute("no ATR")) == "medium_mute: no ATR"


def test_the_data_of_an_error_is_its_own() -> None:
    data: dict[str, errors.JsonValue] = {"reader": "r-1"}
    error = MediumMute(data=data)
    data["reader"] = "r-2"
    assert error.data == {"reader": "r-1"}
