"""Channels: one value has one text; whatever could be read in two ways is refused before it is read at all."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_protocol.errors import ParseError
from vitale_protocol.methods import StationMode
from vitale_protocol.web.channels import (
    DEPTH,
    Preamble,
    close_code,
    closing,
    read_frame,
    read_preamble,
    read_sealed,
    rewrite,
    write_frame,
)

PREAMBLE = Preamble(
    via="websocket", site="https://facturation.example.fr", peer_uid=1000, host="127.0.0.1:7817", opened=1_790_000_000.5
)
CALL = '{"jsonrpc":"2.0","id":1,"method":"session.ping","params":{}}'

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('abé\n"\\', max_size=3), inner, max_size=4),
    max_leaves=15,
)

#: Texts that readers read otherwise, or that hide a second message. The first is a batch with its lines apart.
AMBIGUOUS = [
    pytest.param(f"[{CALL},\n{CALL}\n]", id="line feeds"),
    pytest.param(f"{CALL}\n", id="a line feed behind"),
    pytest.param(f" {CALL}", id="white space before"),
    pytest.param(f"{CALL}{CALL}", id="two values"),
    pytest.param(f"{CALL}\0", id="NUL behind"),
    pytest.param(f"\ufeff{CALL}", id="byte order mark"),
    pytest.param('{"site":"https://a.example","site":"https://b.example"}', id="a member twice"),
    pytest.param('{"a":1,"\\u0061":2}', id="a member twice, once escaped"),
    pytest.param('{"a":"\\u0000"}', id="an escaped NUL"),
    pytest.param('{"\\u0000":1}', id="an escaped NUL in a name"),
    pytest.param('"\\ud800"', id="half a pair"),
    pytest.param("[1e999]", id="beyond doubles"),
    pytest.param("NaN", id="no number"),
    pytest.param("[" * (DEPTH + 1) + "]" * (DEPTH + 1), id="deep"),
    pytest.param("[" * 100_000, id="very deep"),
    pytest.param("", id="nothing"),
    pytest.param('{"a":1,}', id="a comma too many"),
    pytest.param("{'a':1}", id="other quotes"),
]
#: Texts that say nothing else when written anew, and are no frames as they are.
LOOSE = ['{ "a": 1 }', '{"a":"\\u00e9"}', '{"a":"\\/"}', '{"a":1e2}', "-0", "\t{}\r\n", f"[{CALL},\n{CALL}\n]"]


@given(VALUES)
def test_a_value_has_one_text(value: object) -> None:
    frame = rewrite(json.dumps(value, indent=1).encode())

    assert frame == rewrite(frame) == write_frame(read_frame(frame))
    assert value == read_frame(frame) == json.loads(frame)
    assert b"\n" not in frame


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_an_ambiguous_text_is_no_frame(text: str) -> None:
    with pytest.raises(ParseError):
        read_frame(text.encode())


@pytest.mark.parametrize(
    "text", [each for each in AMBIGUOUS if each.id not in {"line feeds", "a line feed behind", "white space before"}]
)
def test_an_ambiguous_text_is_not_rewritten(text: str) -> None:
    with pytest.raises(ParseError):
        rewrite(text.encode())


@pytest.mark.parametrize("text", LOOSE)
def test_a_loose_text_is_written_anew_and_no_frame_before(text: str) -> None:
    with pytest.raises(ParseError):
        read_frame(text.encode())
    assert json.loads(text) == read_frame(rewrite(text.encode()))


def test_bytes_that_are_no_text_are_no_frame() -> None:
    for read in (read_frame, rewrite):
        with pytest.raises(ParseError):
            read(b'{"a":"\xff"}')


@given(st.binary(max_size=60) | st.text('{}[]",:01e\\u\n ', max_size=40).map(str.encode))
def test_any_bytes_are_a_frame_or_refused(data: bytes) -> None:
    try:
        frame = rewrite(data)
    except ParseError:
        with pytest.raises(ParseError):
            read_frame(data)
        return
    assert json.loads(data) == read_frame(frame)
    if data != frame:
        with pytest.raises(ParseError):
            read_frame(data)


#: Texts that begin as a sealed frame does; of some another reader would read another message.
SEALED_BEGINNINGS = [
    '{"n":0,"c":"\\u0000"}',
    '{"n":0,"c":"\\ud800"}',
    '{"n":0,"c":"\\u0041"}',
    '{"n":0,"c":"\\/"}',
    '{"n":0,"c":"A","c":"B"}',
    '{"n":0,"n":1,"c":"A"}',
    '{"n":0,"c":"A"}{"n":1,"c":"B"}',
    '{"n":0,"c":"A"}\n',
    '{"n":0, "c":"A"}',
    '{"n":0.0,"c":"A"}',
    '{"n":-0,"c":"A"}',
    '{"n":00,"c":"A"}',
    '{"n":1e0,"c":"A"}',
    '{"n":9007199254740992,"c":"A"}',
    '{"n":0,"c":"A","x":1}',
    '{"n":0,"c":"é"}',
    '{"n":0,"c":"A\x7f"}',
    '{"n":0,"c":"A\x00"}',
    '{"n":0,"c":null}',
    '{"n":0}',
]


@pytest.mark.parametrize("text", SEALED_BEGINNINGS)
def test_a_sealed_frame_is_no_shorter_way_around_the_rules(text: str) -> None:
    """In a list the same value goes the longer way: both ways let in the same, and write the same."""
    data = text.encode()
    try:
        expected = rewrite(b"[" + data + b"]")[1:-1]
    except ParseError:
        with pytest.raises(ParseError):
            rewrite(data)
    else:
        assert expected == rewrite(data)


@given(st.integers(-2, 2**54), st.text(max_size=20))
def test_a_sealed_frame_is_read_as_any_frame_is(number: int, text: str) -> None:
    frame = write_frame({"n": number, "c": text.replace("\0", "")})
    try:
        sealed = read_sealed(frame)
    except ParseError:
        assert not 0 <= number < 2**53
    else:
        assert read_frame(frame) == {"n": sealed.n, "c": sealed.c}
        assert frame == rewrite(frame)


def test_a_close_frame_tells_its_code_and_nothing_else_does() -> None:
    assert 1013 == close_code(closing(1013))
    for other in (b'{"close":"1013"}', b'{"close":99}', b'{"close":1013', b'{"closed":1013}', b'{"n":0,"c":"A"}', b""):
        assert 0 == close_code(other)


def test_a_preamble_is_read() -> None:
    assert PREAMBLE == read_preamble(write_frame(PREAMBLE), "production")


@pytest.mark.parametrize(
    "altered",
    [
        {"via": "unix"},
        {"via": "gateway"},
        {"site": "null"},
        {"site": "https://facturation.example.fr/"},
        {"site": ""},
        {"site": None},
        {"site": "https://" + "a" * 300},
        {"peer_uid": -1},
        {"peer_uid": True},
        {"peer_uid": 1.5},
        {"host": "h" * 301},
        {"opened": "now"},
        {"client_id": "local"},
    ],
)
def test_another_preamble_is_refused(altered: dict[str, object]) -> None:
    members = msgspec.to_builtins(PREAMBLE) | altered

    with pytest.raises(ParseError):
        read_preamble(write_frame(members), "production")


@pytest.mark.parametrize("left_out", ["via", "site", "peer_uid", "host", "opened"])
def test_a_preamble_is_whole(left_out: str) -> None:
    members = msgspec.to_builtins(PREAMBLE)
    del members[left_out]

    with pytest.raises(ParseError):
        read_preamble(write_frame(members), "production")


@pytest.mark.parametrize(("mode", "let_in"), [("production", False), ("test", True), ("simulated", True)])
def test_a_loopback_page_is_for_stations_without_real_cards(mode: StationMode, let_in: bool) -> None:
    frame = write_frame(msgspec.structs.replace(PREAMBLE, site="http://127.0.0.1:8000"))
    try:
        read_preamble(frame, mode)
    except ParseError:
        assert not let_in
    else:
        assert let_in
