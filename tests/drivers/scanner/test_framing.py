"""``framing`` and ``aim``: scans out of bytes, whatever way these come."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.scanner.aim_identifiers import split_identifier
from vitale_drivers.scanner.framing import Dropped, LineEvent, LineReader, Scan, ScanFraming
from vitale_drivers.scanner.settings import FRAMINGS

GS = b"\x1d"
INS = b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.8" + GS + b"S3SARAH-LOU" + GS + b"S4GARCIA"
IDLE, TIMEOUT = 0.1, 0.5
MOST = 64


def reader(framing: ScanFraming | None = None, max_bytes: int = MOST) -> LineReader:
    return LineReader(framing or FRAMINGS["line"], max_bytes, IDLE, TIMEOUT)


def said(events: list[LineEvent]) -> list[tuple[bytes, str] | str]:
    """What was told, without the times."""
    return [(event.data, event.symbology) if isinstance(event, Scan) else event.why for event in events]


def heard(lines: LineReader, *pieces: bytes, pause: float = 0.0) -> list[tuple[bytes, str] | str]:
    """What becomes of pieces that come one after another, and of the silence that follows."""
    events: list[LineEvent] = []
    now = 100.0
    for piece in pieces:
        events += lines.receive(piece, now)
        now += pause
        events += lines.expire(now)
    events += lines.expire(now + TIMEOUT)
    assert lines.due is None
    assert not lines.under_way
    return said(events)


# ── framings ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "sent", "expected"),
    [
        ("line", b"one\rtwo\nthree\r\n", [(b"one", ""), (b"two", ""), (b"three", "")]),
        ("line", b"]Q1one\r]d2two\r\n", [(b"one", "qr"), (b"two", "gs1-datamatrix")]),
        ("cr", b"one\n\rtwo\r", [(b"one\n", ""), (b"two", "")]),
        ("cr", b"]Q1one\r", [(b"]Q1one", "")]),
        ("lf", b"one\r\ntwo\n", [(b"one\r", ""), (b"two", "")]),
        ("crlf", b"o\rn\ne\r\ntwo\r\n", [(b"o\rn\ne", ""), (b"two", "")]),
        ("etx", b"one\r\x03two\x03", [(b"one\r", ""), (b"two", "")]),
        ("stx-etx", b"\x02one\x03\r\n\x02two\x03", [(b"one", ""), (b"two", "")]),
        ("stx-etx", b"noise\x02one\x03", [(b"one", "")]),
        ("aim-cr", b"]C1one\rtwo\r", [(b"one", "gs1-128"), (b"two", "")]),
        ("aim-crlf", b"]z0one\r\n", [(b"one", "aztec")]),
        ("idle", b"one", [(b"one", "")]),
        ("idle", b"one\r\n", [(b"one\r\n", "")]),
    ],
)
def test_each_framing(name: str, sent: bytes, expected: list[tuple[bytes, str]]) -> None:
    framing = {str(key): framing for key, framing in FRAMINGS.items()}[name]
    assert heard(reader(framing), sent) == expected


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_separators_of_an_ins_datamatrix_are_kept(framing: ScanFraming) -> None:
    sent = framing.prefix + INS + (framing.suffixes or (b"",))[0]
    assert heard(reader(framing, 4096), sent) == [(INS, "")]


def test_a_prefix_and_a_suffix_of_several_bytes() -> None:
    framing = ScanFraming(prefix=b"<<", suffixes=(b">>",))
    assert heard(reader(framing), b"<", b"<one>", b"two>", b"><<three>>") == [(b"one>two", ""), (b"three", "")]


def test_what_never_has_its_prefix_is_told_once() -> None:
    assert heard(reader(FRAMINGS["stx-etx"]), b"one", b"\r", b"two\r") == ["incomplete"]
    assert heard(reader(FRAMINGS["stx-etx"]), b"\r\n") == []
    assert heard(reader(FRAMINGS["stx-etx"]), b"\x02") == []


def test_lines_without_content_are_none() -> None:
    assert heard(reader(), b"\r\n\r\n\n") == []
    assert heard(reader(FRAMINGS["aim-cr"]), b"]Q1\r") == [(b"", "qr")], "a code that is empty is a scan"


def test_the_time_that_a_scan_took() -> None:
    lines = reader()
    assert lines.receive(b"one", 10.0) == []
    (first, second) = lines.receive(b" more\rtwo\r", 10.2)
    assert isinstance(first, Scan)
    assert isinstance(second, Scan)
    assert first.elapsed == pytest.approx(0.2)
    assert second.elapsed == 0.0
    assert "more" not in repr(first), "what patients show does not reach a log"


# ── too long ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_the_longest_code_is_read_and_a_longer_one_told_once(framing: ScanFraming) -> None:
    end = (framing.suffixes or (b"",))[0]
    for length, expected in ((MOST, [(b"x" * MOST, "")]), (MOST + 1, ["too-long"]), (9 * MOST, ["too-long"])):
        whole = framing.prefix + b"x" * length + end
        assert heard(reader(framing), whole) == expected
        assert heard(reader(framing), *(bytes((byte,)) for byte in whole)) == expected


def test_a_line_that_never_ends_is_bounded_told_once_and_over_at_its_end() -> None:
    lines = reader()
    events: list[LineEvent] = []
    for turn in range(10_000):
        events += lines.receive(b"QWERTY" * 10, 0.01 * turn)
        assert lines.kept <= MOST + 64
    assert events == [Dropped("too-long")]
    assert said(lines.receive(b"tail\rnext\r", 100.0)) == [(b"next", "")]


class CountedSearch:
    """The search for a suffix, which counts the bytes that it looks at."""

    def __init__(self, plain: re.Pattern[bytes]) -> None:
        self._plain = plain
        self.looked_at = 0

    def search(self, buffer: bytearray, start: int) -> re.Match[bytes] | None:
        found = self._plain.search(buffer, start)
        self.looked_at += (len(buffer) if found is None else found.end()) - start
        return found


@pytest.mark.parametrize("at_once", [1, 6_000])
@pytest.mark.parametrize("line", [b"\r", b"a\r", b"ab\n"])
def test_many_short_lines_are_searched_once_however_many_come_at_once(
    monkeypatch: pytest.MonkeyPatch, line: bytes, at_once: int
) -> None:
    lines = reader()
    counted = CountedSearch(lines._suffix)  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(lines, "_suffix", counted)
    for _ in range(6_000 // at_once):
        lines.receive(line * at_once, 100.0)
    assert counted.looked_at == 6_000 * len(line)


def test_an_endless_line_that_stops_is_over() -> None:
    assert heard(reader(), b"x" * 500) == ["too-long"]


# ── torn ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_line_that_stops_is_told_and_given_up() -> None:
    lines = reader()
    lines.receive(b"half", 10.0)
    assert lines.due == pytest.approx(10.0 + TIMEOUT)
    assert lines.expire(10.4) == []
    assert lines.expire(10.5) == [Dropped("incomplete")]
    assert said(lines.receive(b"whole\r", 11.0)) == [(b"whole", "")]


def test_a_line_that_goes_on_in_time_is_one() -> None:
    lines = reader()
    for piece, now in ((b"o", 10.0), (b"n", 10.4), (b"e", 10.8)):
        assert lines.receive(piece, now) == []
        assert lines.expire(now + 0.4) == []
    assert said(lines.receive(b"\r", 11.2)) == [(b"one", "")]


def test_a_reader_that_comes_late_joins_nothing_either() -> None:
    lines = reader()
    lines.receive(b"half", 10.0)
    assert said(lines.receive(b"whole\r", 12.0)) == ["incomplete", (b"whole", "")]


def test_without_a_suffix_a_pause_ends_a_scan_and_a_shorter_one_does_not() -> None:
    lines = reader(FRAMINGS["idle"])
    lines.receive(b"one", 10.0)
    assert lines.expire(10.05) == []
    lines.receive(b" more", 10.05)
    assert lines.due == pytest.approx(10.15)
    assert said(lines.expire(10.15)) == [(b"one more", "")]
    lines.receive(b"half", 20.0)
    # The pause was over before anybody looked; but a code in two halves would be worse than one that waits.
    assert said(lines.receive(b"whole", 20.2)) == []
    assert said(lines.receive(b"next", 20.2 + TIMEOUT)) == [(b"halfwhole", "")]


# ── whatever the way ─────────────────────────────────────────────────────────────────────────────────────────────────

ANY_FRAMING = st.sampled_from(
    [*FRAMINGS.values(), ScanFraming(b"<<", (b">>",), aim=True), ScanFraming(suffixes=(b"\r\n\r\n", b"\x03"))]
)
ALPHABET = st.sampled_from([b"a", b"]", b"Q", b"1", b"\r", b"\n", b"\x02", b"\x03", b"<", b">", GS, b"\x00", b"\xff"])
STREAM = st.lists(ALPHABET, max_size=200).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=20)


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    return [stream[start:end] for start, end in pairwise(places)]


@given(framing=ANY_FRAMING, stream=STREAM, cuts=CUTS, most=st.integers(1, 40))
def test_scans_do_not_depend_on_how_the_bytes_are_split(
    framing: ScanFraming, stream: bytes, cuts: list[int], most: int
) -> None:
    assert heard(reader(framing, most), *pieces(stream, cuts)) == heard(reader(framing, most), stream)


@given(framing=ANY_FRAMING, stream=st.binary(max_size=600), cuts=CUTS, most=st.integers(1, 100))
def test_whatever_comes_never_raises_and_stays_bounded(
    framing: ScanFraming, stream: bytes, cuts: list[int], most: int
) -> None:
    for told in heard(reader(framing, most), *pieces(stream, cuts), pause=0.2):
        assert told in {"too-long", "incomplete", "garbled"} or len(told[0]) <= most


CONTENT = st.binary(min_size=1, max_size=40).filter(
    lambda data: (
        not any(mark in data for mark in (b"\r", b"\n", b"\t", b"\0", b"\x02", b"\x03", b"<", b">", b"]", b"\\"))
    )
)


@given(framing=ANY_FRAMING, codes=st.lists(CONTENT, min_size=1, max_size=5), cuts=CUTS)
def test_every_code_comes_out_as_it_went_in(framing: ScanFraming, codes: list[bytes], cuts: list[int]) -> None:
    lines = reader(framing)
    events: list[LineEvent] = []
    now = 100.0
    for code in codes:
        sent = framing.prefix + code + (framing.suffixes or (b"",))[0]
        for piece in pieces(sent, cuts):
            events += lines.receive(piece, now)
        now += IDLE
        events += lines.expire(now)
    assert said(events) == [(code, "") for code in codes]


@given(framing=ANY_FRAMING, torn=CONTENT, whole=CONTENT, keep=st.integers(0, 60), late=st.booleans())
def test_what_was_torn_is_never_joined_to_the_next_scan(
    framing: ScanFraming, torn: bytes, whole: bytes, keep: int, late: bool
) -> None:
    lines = reader(framing)
    end = (framing.suffixes or (b"",))[0]
    events = lines.receive((framing.prefix + torn)[:keep], 100.0)
    if not late:
        events += lines.expire(100.0 + TIMEOUT)
    events += lines.receive(framing.prefix + whole + end, 101.0)
    events += lines.expire(101.0 + IDLE)
    *before, last = said(events)
    assert last == (whole, "")
    if framing.suffixes:
        assert before in ([], ["incomplete"], ["garbled"])
    else:
        assert before in ([], [(torn[:keep], "")]), "without a suffix nobody can tell half a code from a whole one"


# ── identifiers ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"]Q1x", ("qr", b"x")),
        (b"]Q3x", ("gs1-qr", b"x")),
        (b"]d2\x1dx", ("gs1-datamatrix", b"\x1dx")),
        (b"]d1x", ("datamatrix", b"x")),
        (b"]e0x", ("gs1-databar", b"x")),
        (b"]C1x", ("gs1-128", b"x")),
        (b"]C0x", ("code128", b"x")),
        (b"]L0x", ("pdf417", b"x")),
        (b"]z0x", ("aztec", b"x")),
        (b"]E0x", ("ean", b"x")),
        (b"]X0x", ("other", b"x")),
        (b"]Q1", ("qr", b"")),
        (b"]Q", ("", b"]Q")),
        (b"]?1x", ("", b"]?1x")),
        (b"x]Q1", ("", b"x]Q1")),
        (b"", ("", b"")),
        (rb"]Q1a\000026b\\c", ("qr", rb"a\000026b\\c")),
        (rb"]Q2\000026a\\b", ("qr", rb"a\b")),
        (rb"]d4\000026\\000026", ("datamatrix", rb"\000026")),
        (rb"]Q2a\12b", ("qr", rb"a\12b")),
    ],
)
def test_identifiers_and_their_escapes(line: bytes, expected: tuple[str, bytes]) -> None:
    assert split_identifier(line) == expected


@given(st.binary(max_size=30))
def test_content_after_an_escaping_identifier_comes_back(content: bytes) -> None:
    escaped = rb"\000026" + content.replace(b"\\", rb"\\")
    assert split_identifier(b"]Q2" + escaped) == ("qr", content)
    assert split_identifier(b"]Q1" + content) == ("qr", content)


# ── what is kept ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("noise", [b"x" * 40, b"\r\n", b"<"], ids=["text", "white space", "half a prefix"])
def test_noise_before_a_prefix_is_not_kept(noise: bytes) -> None:
    lines = reader(ScanFraming(prefix=b"<<", suffixes=(b">>",)))
    for turn in range(1_000):
        lines.receive(noise + b"-", 0.001 * turn)
        assert lines.kept <= len(b"<<") - 1
    assert said(lines.receive(b"<<one>>", 1.0)) == [(b"one", "")]


def test_what_may_be_the_beginning_of_a_prefix_is_kept_alone() -> None:
    lines = reader(ScanFraming(prefix=b"<!", suffixes=(b">",)))
    lines.receive(b"noise<", 0.0)
    assert lines.kept == 1
    assert said(lines.receive(b"!one>", 0.0)) == [(b"one", "")]


@pytest.mark.parametrize("suffix", [b"\r", b"\r\n", b">>"])
def test_a_suffix_at_the_very_start_ends_nothing_and_is_gone(suffix: bytes) -> None:
    framing = ScanFraming(suffixes=(suffix,))
    assert heard(reader(framing), suffix + b"one" + suffix) == [(b"one", "")]
    assert heard(reader(framing), *(bytes((byte,)) for byte in suffix + b"one" + suffix)) == [(b"one", "")]
    lines = reader(framing)
    assert lines.receive(suffix, 0.0) == []
    assert lines.kept == 0
    assert not lines.under_way


def test_a_line_that_is_too_long_keeps_half_a_suffix_only() -> None:
    lines = reader(ScanFraming(suffixes=(b">>",)))
    assert lines.receive(b"x" * (MOST + 2), 0.0) == [Dropped("too-long")]
    assert lines.kept == 1
    assert said(lines.receive(b"x>", 0.0) + lines.receive(b">one>>", 0.0)) == [(b"one", "")]
