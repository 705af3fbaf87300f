"""JSON-RPC messages: what is accepted, what is refused, and that no refusal quotes a value."""

import contextlib
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vitale_protocol.errors import InvalidParams, InvalidRequest, LimitExceeded, ParseError
from vitale_protocol.methods import METHODS, PresentationRequest, SessionPing, SessionPonged
from vitale_protocol.session.jsonrpc import (
    Call,
    Failure,
    Success,
    convert,
    decode,
    encode_call,
    encode_failure,
    encode_success,
    has_nul,
    holds_nul,
    parse,
    readable_id,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)

SECRET = "1850699999999"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{} {}",
        b"[1,]",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'"\xff"',
        b'"\xed\xa0\x80"',  # half a surrogate pair in UTF-8
        b'"\\ud800"',
        b'"\\udc00"',
        b'"\\ud800\\u0041"',
        b'"\x00"',
        b"{}\x00",
        b"\xef\xbb\xbf{}",  # a byte order mark
        b"\xff\xfe{\x00}\x00",  # UTF-16
        b"'a'",
        b"01",
        b'"a\nb"',
    ],
    ids=repr,
)
def test_what_is_not_json_in_utf8_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        decode(data, 32)


@pytest.mark.parametrize(
    "data",
    [
        b'{"nir":"%s\xff"}',
        b'{"%s\xff":1}',
        b'{"nir":"%s"}\xff',
        b'\xff{"nir":"%s"}',
        b'{"nir":"%s\xed\xa0\x80"}',
        b'"%s\xc3"',
    ],
)
def test_bytes_that_are_not_utf8_are_told_as_such_and_do_not_travel_along(data: bytes) -> None:
    with pytest.raises(ParseError) as caught:
        decode(data % SECRET.encode(), 32)
    assert caught.value.detail == "not UTF-8"
    assert caught.value.__context__ is None
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "nul"),
    [
        (b'"\\u0000"', True),
        (b'"\\\\\\u0000"', True),
        (b'{"\\u0000":1}', True),
        (b'"\\\\u0000"', False),
        (b'"0"', False),
    ],
)
def test_a_nul_is_told_from_an_escaped_backslash_before_u0000(data: bytes, nul: bool) -> None:
    assert (has_nul(data), holds_nul(decode(data, 32))) == (nul, nul)


@pytest.mark.parametrize("data", [b"[" + b"1," * 50 + b"1]", b"[" * 20 + b"[],[]" * 50, b'{"a":1}' * 60])
def test_more_values_than_allowed_are_refused_before_they_are_decoded(data: bytes) -> None:
    with pytest.raises(LimitExceeded) as caught:
        decode(data, 100, items=40)
    assert (caught.value.data, caught.value.retryable) == ({"limit": "items"}, False)


def test_of_two_members_of_one_name_the_last_counts() -> None:
    assert decode(b'{"a":1,"a":2}', 32) == {"a": 2}


def test_depth_counts_the_outermost_braces() -> None:
    assert decode(b"[[[]]]", 3) == [[[]]]
    with pytest.raises(LimitExceeded) as caught:
        decode(b"[[[[]]]]", 3)
    assert caught.value.data == {"limit": "depth"}


def test_brackets_in_strings_and_side_by_side_are_not_depth() -> None:
    assert decode(b'["[[[[\\"[[[[", [], {}, []]', 2) == ['[[[["[[[[', [], {}, []]


@pytest.mark.parametrize("data", [b"[" * 1_000_000, b'{"a":' * 200_000, b"[{}" * 300_000], ids=["[", "{", "[{}"])
def test_deep_nesting_is_refused_without_recursion(data: bytes) -> None:
    with pytest.raises(LimitExceeded):
        decode(data, 32)


@pytest.mark.parametrize(
    "data",
    [b'"' + b"\\" * 1_000_000, b'["' + b'\\"[' * 300_000, b"[" + b'"[",' * 200_000, b"[]" * 500_000],
    ids=["backslashes", "escaped quotes", "strings", "siblings"],
)
def test_measuring_the_depth_takes_linear_time(data: bytes) -> None:
    # A megabyte takes some tens of milliseconds; quadratic behaviour would exceed the time limit of a test by far.
    with pytest.raises(ParseError):
        decode(data, 32)


@given(JSON)
def test_depth_is_measured_as_json_nests(value: object) -> None:
    def depth(of: object) -> int:
        if isinstance(of, dict):
            of = list(cast("dict[str, object]", of).values())
        return 1 + max(map(depth, cast("list[object]", of)), default=0) if isinstance(of, list) else 0

    data = msgspec.json.encode(value)
    expected = depth(value)
    decode(data, expected)
    if expected:
        with pytest.raises(LimitExceeded):
            decode(data, expected - 1)


def test_a_call() -> None:
    message = {"jsonrpc": "2.0", "id": "a", "method": "session.ping", "params": {"x": 1}}
    assert parse(message) == Call("a", "session.ping", {"x": 1})


def test_a_notification_without_parameters() -> None:
    assert parse({"jsonrpc": "2.0", "method": "session.ping"}) == Call(None, "session.ping", {})


def test_an_answer_of_each_kind() -> None:
    assert parse({"jsonrpc": "2.0", "id": 1, "result": None}) == Success(1, None)
    error: dict[str, Any] = {"code": 1201, "message": "t", "data": {"reason": "timeout"}}
    assert parse({"jsonrpc": "2.0", "id": None, "error": error}) == Failure(None, 1201, "t", {"reason": "timeout"})
    assert parse({"jsonrpc": "2.0", "id": 1, "error": {**error, "data": [1]}}) == Failure(1, 1201, "t", {})


@pytest.mark.parametrize(
    "message",
    [
        1,
        "x",
        None,
        [],
        {},
        {"id": 1, "method": "m"},
        {"jsonrpc": 2.0, "id": 1, "method": "m"},
        {"jsonrpc": "1.0", "id": 1, "method": "m"},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "id": 1, "method": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "m", "result": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "m", "params": 1},
        {"jsonrpc": "2.0", "id": 1, "method": "m", "params": None},
        {"jsonrpc": "2.0", "id": None, "method": "m"},
        {"jsonrpc": "2.0", "id": True, "method": "m"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "m"},
        {"jsonrpc": "2.0", "id": [1], "method": "m"},
        {"jsonrpc": "2.0", "id": "x" * 201, "method": "m"},
        {"jsonrpc": "2.0", "id": 1, "result": 1, "error": {"code": 1, "message": ""}},
        {"jsonrpc": "2.0", "result": 1},
        {"jsonrpc": "2.0", "id": None, "result": 1},
        {"jsonrpc": "2.0", "id": 1.5, "result": 1},
        {"jsonrpc": "2.0", "id": 1, "error": 1},
        {"jsonrpc": "2.0", "id": 1, "error": {"message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": True, "message": ""}},
        {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": None}},
    ],
    ids=repr,
)
def test_what_is_not_a_message_is_refused(message: object) -> None:
    with pytest.raises(InvalidRequest):
        parse(message)


@pytest.mark.parametrize(
    ("message", "expected"),
    [({"id": 1}, 1), ({"id": "a"}, "a"), ({"id": True}, None), ({"id": 1.0}, None), ({}, None), ([1], None), (1, None)],
)
def test_the_id_of_a_broken_message_is_found_if_it_is_one(message: object, expected: object) -> None:
    assert readable_id(message) == expected


NONCE = "n" * 22


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({}, "$.nonce"),
        ({"nonce": SECRET}, "$.nonce"),
        ({"nonce": NONCE + "\n"}, "$.nonce"),
        ({"nonce": NONCE, "media": ["vitale-card", SECRET]}, "$.media[1]"),
        ({"nonce": NONCE, "media": []}, "$.media"),
        ({"nonce": NONCE, "timeout_ms": 1}, "$.timeout_ms"),
        ({"nonce": NONCE, "timeout_ms": True}, "$.timeout_ms"),
        ({"nonce": NONCE, SECRET: 1}, "$"),
        # Texts of msgspec, forged so that the sender's words would stand where the path is looked for.
        ({"nonce": NONCE, f"x` - at `$.{SECRET}": 1}, "$"),
        ({"nonce": NONCE, f"x` - at `$.media[{SECRET}]": 1}, "$.media"),
        ({"nonce": NONCE, f"x` - at `$[{SECRET}]": 1}, "$"),
        ({"nonce": NONCE, f"x` - at `${SECRET}": 1}, "$"),
        ({"nonce": NONCE, "purpose": f"x' - at `$.{SECRET}`"}, "$.purpose"),
        ([NONCE], "$"),
    ],
    ids=repr,
)
def test_parameters_that_do_not_fit_are_refused_by_place_and_never_by_value(params: object, path: str) -> None:
    with pytest.raises(InvalidParams) as caught:
        convert(params, PresentationRequest)
    assert caught.value.data == {"path": path}
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
# Some thirty methods: together they see as many values as a property does that is tried once.
@settings(max_examples=20)
@given(value=JSON)
def test_any_value_as_parameters_is_taken_or_refused(method: Any, value: object) -> None:
    with contextlib.suppress(InvalidParams):
        params = convert(value, method.params)
        assert convert(msgspec.to_builtins(params), method.params) == params


def test_what_is_encoded_is_parsed_back() -> None:
    ping, pong = SessionPing(), SessionPonged(time=1.5)
    assert parse(decode(encode_call(1, "session.ping", ping), 32)) == Call(1, "session.ping", {})
    assert parse(decode(encode_call(None, "session.ping", ping), 32)) == Call(None, "session.ping", {})
    assert parse(decode(encode_success("é\n", pong), 32)) == Success("é\n", {"time": 1.5})
    assert parse(decode(encode_failure(None, {"code": 1, "message": "m"}), 32)) == Failure(None, 1, "m", {})


@given(st.binary())
def test_any_bytes_are_a_message_or_a_documented_error(data: bytes) -> None:
    with contextlib.suppress(ParseError, InvalidRequest, LimitExceeded):
        parse(decode(data, 32))


@given(JSON)
def test_any_json_is_a_message_or_not(value: object) -> None:
    with contextlib.suppress(InvalidRequest):
        parse(value)
