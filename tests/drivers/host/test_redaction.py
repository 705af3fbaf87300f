"""What a log may never show, whoever wrote it. All persons are invented."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.host.redaction import RedactingFormatter, redact, redact_exception
from vitale_protocol.errors import MediumMute


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nir 2690549588157 read", "nir [nir] read"),
        ("nir 2 69 05 49 588 157 80", "nir [nir]"),
        ("nir 169052A12345678", "nir [nir]"),
        ("got eyJhbGciOiJFUzI1NiJ9.eyJub25jZSI6IngifQ.c2ln", "got [token]"),
        ("Bearer=eyJhbGciOiJFUzI1NiJ9.eyJub25jZSI6IngifQ.c2ln;", "Bearer=[token];"),
        ("x-eyJhbGciOiJFUzI1NiJ9.eyJub25jZSI6IngifQ.c2ln", "x-[token]"),
        ("--token_eyJhbGciOiJFUzI1NiJ9..c2ln.-_.x", "--token_[token]"),
        (r'"a\neyJhbGciOiJFUzI1NiJ9.e30.c2ln"', r'"a\n[token]"'),
        ("eyJ. eyJa eyJa.b.eyJ- a.eyJc.d", "eyJ. eyJa [token] a.[token]"),
        ("apdu 65 14 80 06 44 55 50 4F 4E 54 81 04", "apdu [data]"),
        ("apdu 651480064455504F4E54", "apdu [data]"),
        ("answer b'DUPONT\\x00'", "answer [bytes]"),
        ('answer b"D\'ARC"', "answer [bytes]"),
        ("00A40400 Lc=11 → 9000 (ok) +0", "00A40400 Lc=11 → 9000 (ok) +0"),
        ("SCardTransmit: 0x80100016", "SCardTransmit: 0x80100016"),
        ("incident 3f2a91c07be4", "incident 3f2a91c07be4"),
    ],
)
def test_what_looks_personal_is_replaced(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "piece",
    ["eyJ-", "eyJ", "eyJ.", "-", "a.", "b'", 'b"', "b'\\", "b'\\'", "\\", "2", "2 ", "2 69 05 ", "aa ", "aaa ", "a:"],
)
def test_a_line_without_end_is_looked_at_in_one_pass(piece: str) -> None:
    """The limit of time of a test is enough for a pass, and not for one from each place of the line."""
    assert "eyJa.b" not in redact(piece * ((1 << 19) // len(piece)) + " eyJa.b")


@given(
    nir=st.from_regex(r"[1-8][0-9]{12}([0-9]{2})?", fullmatch=True),
    before=st.text(" ,:=\n"),
    after=st.text(" ,:=\n"),
)
def test_no_nir_survives(nir: str, before: str, after: str) -> None:
    assert nir not in redact(before + nir + after)


@given(data=st.binary(min_size=10, max_size=40))
def test_no_stretch_of_card_data_survives(data: bytes) -> None:
    assert data.hex() not in redact(f"answer {data.hex()} end")
    assert repr(data) not in redact(f"answer {data!r} end")


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_the_text_of_a_strangers_exception_is_not_told() -> None:
    told = redact_exception(raised(ValueError("cannot parse DUPONT"), raised(KeyError("MARTIN"))))
    assert "DUPONT" not in told
    assert "MARTIN" not in told
    assert told.startswith("ValueError at raised ")
    assert "; from KeyError at raised " in told


def test_the_text_of_our_own_is() -> None:
    assert redact_exception(MediumMute("no answer to reset")) == (
        "vitale_protocol.errors.MediumMute (medium_mute: no answer to reset)"
    )


def test_the_formatter_redacts_message_and_exception() -> None:
    record = logging.LogRecord("n", logging.ERROR, "f", 1, "read %s\nnext", ("2690549588157",), None)
    error = raised(ValueError("DUPONT"))
    record.exc_info = (type(error), error, error.__traceback__)
    text = RedactingFormatter().format(record)
    assert text.startswith("read [nir] next: ValueError at raised ")
    assert "DUPONT" not in text
    assert "\n" not in text


@given(st.text(alphabet=st.sampled_from("ab \n\r\t\v\f\0\x1b\x85\u2028\u2029\x9b")))
def test_a_record_is_one_line_that_steers_no_terminal(said: str) -> None:
    text = RedactingFormatter().format(logging.LogRecord("n", logging.INFO, "f", 1, "%s", (said,), None))
    assert [text or ""] == (text.splitlines() or [""])
    assert text.isprintable()
