"""Sealed frames: both implementations write the same; nothing that was changed, repeated or left out is read."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.web import independent
from tests.protocol.web.independent import VECTORS
from vitale_protocol.errors import LimitExceeded, ParseError
from vitale_protocol.web.channels import FRAME_BYTES, Via
from vitale_protocol.web.sealed_frames import SEALED_BYTES, Opener, Sealer, session_keys

KEY = bytes(range(32))


def altered(frame: bytes, place: int) -> bytes:
    """The frame with one bit of its ciphertext or tag turned."""
    members = json.loads(frame)
    data = bytearray(independent.unb64u(members["c"]))
    data[place % len(data)] ^= 1
    return json.dumps({"n": members["n"], "c": independent.b64u(bytes(data))}, separators=(",", ":")).encode()


def test_keys_are_those_of_the_vectors() -> None:
    made = session_keys(bytes.fromhex(VECTORS["shared"]), VECTORS["station_proof"], VECTORS["client_proof"])

    assert VECTORS["keys"] == {"c2s": made.c2s.hex(), "s2c": made.s2c.hex()}


@pytest.mark.parametrize("direction", ["c2s", "s2c"])
def test_frames_are_those_of_the_vectors(direction: str) -> None:
    key = bytes.fromhex(VECTORS["keys"][direction])
    sealer, opener = Sealer(key, "websocket"), Opener(key, "websocket")
    for each in VECTORS[direction]:
        message = each["message"].encode()
        assert each["frame"].encode() == sealer.seal(message)
        assert message == opener.open(each["frame"].encode())


@given(st.binary(max_size=50), st.text(max_size=20), st.text(max_size=20))
def test_keys_are_those_of_another_implementation(shared: bytes, station: str, client: str) -> None:
    made = session_keys(shared or b"\0", station, client)

    assert independent.keys(shared or b"\0", station, client) == {"c2s": made.c2s, "s2c": made.s2c}


@given(st.lists(st.binary(max_size=100), max_size=5), st.sampled_from(["websocket", "stdio"]))
def test_frames_are_those_of_another_implementation(messages: list[bytes], via: Via) -> None:
    sealer, opener = Sealer(KEY, via), Opener(KEY, via)
    for number, message in enumerate(messages):
        frame = sealer.seal(message)
        assert independent.sealed(KEY, via, number, message) == frame.decode()
        assert message == independent.opened(KEY, via, frame.decode()) == opener.open(frame)


def test_proofs_that_were_cut_elsewhere_give_other_keys() -> None:
    assert session_keys(KEY, "ab", "c") != session_keys(KEY, "a", "bc")


@given(st.integers(0))
def test_a_bit_that_was_turned_ends_it(place: int) -> None:
    with pytest.raises(ParseError):
        Opener(KEY, "websocket").open(altered(Sealer(KEY, "websocket").seal(b'{"a":1}'), place))


@pytest.mark.parametrize("order", [[1], [0, 0], [0, 2], [0, 1, 0], [0, 1, 1]])
def test_a_gap_or_a_repetition_ends_it(order: list[int]) -> None:
    sealer, opener = Sealer(KEY, "websocket"), Opener(KEY, "websocket")
    frames = [sealer.seal(b"%d" % number) for number in range(3)]
    for number in order[:-1]:
        opener.open(frames[number])
    with pytest.raises(ParseError):
        opener.open(frames[order[-1]])


def test_the_number_outside_is_the_number_inside() -> None:
    sealer = Sealer(KEY, "websocket")
    members = [json.loads(sealer.seal(b"{}")) for _ in range(2)]
    swapped = json.dumps({"n": 0, "c": members[1]["c"]}, separators=(",", ":"))

    with pytest.raises(ParseError):
        Opener(KEY, "websocket").open(swapped.encode())


def test_a_frame_of_another_way_or_direction_is_refused() -> None:
    frame = Sealer(KEY, "websocket").seal(b"{}")

    for key, via in ((KEY, "stdio"), (bytes(32), "websocket")):
        with pytest.raises(ParseError):
            Opener(key, "stdio" if via == "stdio" else "websocket").open(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b"{}",
        b"[]",
        b'{"n":0}',
        b'{"c":"AAAA"}',
        b'{"n":0,"c":""}',
        b'{"n":0,"c":"AAAAAAAAAAAAAAAAAAAAAB"}',
        b'{"n":0,"c":"=="}',
        b'{"n":-1,"c":"AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"n":0.5,"c":"AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"n":true,"c":"AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"n":9007199254740992,"c":"AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"n":0,"c":"AAAAAAAAAAAAAAAAAAAAAA","x":1}',
        b'{"n":0, "c":"AAAAAAAAAAAAAAAAAAAAAA"}',
        b'{"jsonrpc":"2.0","id":1,"method":"clients.list","params":{}}',
    ],
)
def test_anything_else_ends_it(frame: bytes) -> None:
    with pytest.raises(ParseError):
        Opener(KEY, "websocket").open(frame)


@given(st.binary(max_size=80))
def test_any_bytes_end_it(data: bytes) -> None:
    with pytest.raises(ParseError):
        Opener(KEY, "websocket").open(data)


def test_the_longest_message_fits_into_a_frame_with_all_that_is_around_it() -> None:
    sealer = Sealer(KEY, "websocket")
    sealer.sent = 2**53 - 1
    frame = sealer.seal(b"x" * SEALED_BYTES)

    assert FRAME_BYTES - 256 <= len(frame) <= FRAME_BYTES - 200
    with pytest.raises(LimitExceeded):
        sealer.seal(b"x" * (SEALED_BYTES + 1))


def test_a_message_that_is_too_long_uses_up_no_number() -> None:
    sealer = Sealer(KEY, "websocket")
    with pytest.raises(LimitExceeded):
        sealer.seal(b"x" * (SEALED_BYTES + 1))

    assert b"{}" == Opener(KEY, "websocket").open(sealer.seal(b"{}"))


def test_numbers_are_never_used_twice() -> None:
    sealer = Sealer(KEY, "websocket")
    sealer.sent = 2**53 - 1
    sealer.seal(b"{}")
    with pytest.raises(LimitExceeded):
        sealer.seal(b"{}")


def test_keys_are_not_shown() -> None:
    assert "<SessionKeys>" == repr(session_keys(KEY, "a", "b"))
