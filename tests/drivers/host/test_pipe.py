"""The codec of the pipe: any cut of the stream gives the same messages; anything else is refused."""

import itertools
from typing import get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitale_drivers.base import (
    Arm,
    CodeScanned,
    Command,
    Failed,
    Health,
    Leased,
    Log,
    Ping,
    Pong,
    Presented,
    PreviewPicture,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Start,
    Started,
    Stop,
    Transmit,
    Transmitted,
    WhoHolds,
)
from vitale_drivers.host.pipe import MAX_MESSAGE, MAX_SHORT, PROBLEM_DEPTH, Decoder, StreamError, encode
from vitale_protocol.events import Gs1, Reader
from vitale_protocol.media.apcv_profile import MAX_STRING
from vitale_protocol.problems import Problem

COMMANDS: list[Command] = [
    Start(options={"busy_timeout": 2.5}),
    Arm(media=("vitale-card",), again=("r",), deadline=1.5),
    Transmit(id=3, reader="r", apdus=(b"\x00\xa4\x00\x00", b"\x00\xb0\x82\x00\x00")),
    Ping(id=2**40),
    Stop(),
]

REPORTS: list[Report] = [
    ReaderAdded(reader=Reader(id="r", name="R 00 00", driver="pcsc", media=("vitale-card",), state="empty")),
    Presented(id="u", medium="vitale-card", reader="r", at=1.0, evidence={"a": b"\x00\xff"}, simulated=True),
    Failed(reader="r", problem=Problem("reader_busy", data={"holder": ["x (1)"]})),
]


@given(cuts=st.lists(st.integers(min_value=0, max_value=400)))
def test_any_cut_of_the_stream_gives_the_same_commands(cuts: list[int]) -> None:
    stream = b"".join(encode(command) for command in COMMANDS)
    decoder = Decoder[Command](Command)
    bounds = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    received = [command for start, end in itertools.pairwise(bounds) for command in decoder.receive(stream[start:end])]
    assert received == COMMANDS


def test_reports_survive_the_pipe() -> None:
    assert Decoder[Report](Report).receive(b"".join(encode(report) for report in REPORTS)) == REPORTS


@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_documented_errors(data: bytes) -> None:
    try:
        Decoder[Command](Command).receive(data)
        Decoder[Command](Command).receive(len(data).to_bytes(4, "big") + data)
    except StreamError:
        pass


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf"), -1.0])
def test_a_time_that_is_none_is_refused(number: float) -> None:
    presented = Presented(id="u", medium="vitale-card", reader="r", at=1.0, evidence={}, simulated=True)
    reports: tuple[Report, ...] = (
        msgspec.structs.replace(presented, at=number),
        msgspec.structs.replace(presented, elapsed=number),
        PreviewPicture(reader="r", at=number, jpeg=b""),
    )
    for report in reports:
        with pytest.raises(StreamError):
            Decoder[Report](Report).receive(encode(report))


KEPT = {("Presented", "id"): 36, ("Presented", "medium"): 30, ("Reader", "id"): 200}


@pytest.mark.parametrize("value", ["", "a\0b", "a\n", "\x9b", None], ids=["empty", "nul", "line", "control", "long"])
def test_a_name_that_no_store_keeps_is_refused(value: str | None) -> None:
    """Of each report: the reader that it speaks of, and what a token is kept under."""
    kinds: tuple[type[msgspec.Struct], ...] = (*get_args(Report), Reader)
    of_readers = {(kind.__name__, "reader"): 200 for kind in kinds if get_type_hints(kind).get("reader") is str}
    assert {"Presented", "Failed", "Progress", "ReaderRemoved", "CodeScanned"} <= {kind for kind, _ in of_readers}
    for (kind, field), most in (of_readers | KEPT).items():
        hint = get_type_hints(next(each for each in kinds if each.__name__ == kind), include_extras=True)[field]
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert("x" * (most + 1) if value is None else value, hint)
        assert "x" * most == msgspec.convert("x" * most, hint)


def test_a_presentation_of_a_reader_without_such_a_name_is_refused() -> None:
    presented = Presented(id="u", medium="vitale-card", reader="a\0b", at=1.0, evidence={}, simulated=True)
    with pytest.raises(StreamError):
        Decoder[Report](Report).receive(encode(presented))


@pytest.mark.parametrize(
    "value",
    [msgspec.msgpack.Ext(1, b"x"), {(1, 2): 3}, [{"a": msgspec.msgpack.Ext(1, b"x")}]],
    ids=["extension", "key", "inside"],
)
def test_a_problem_that_no_client_could_be_told_of_is_refused(value: object) -> None:
    problem = Problem("reader_busy", data={"holder": value})
    for report in (Failed(reader="r", problem=problem), Health(state="degraded", problem=problem)):
        body = msgspec.msgpack.encode(report)
        with pytest.raises(StreamError):
            Decoder[Report](Report).receive(len(body).to_bytes(4, "big") + body)


@pytest.mark.parametrize("start", [b"\x91", b"\x81\xa1a"], ids=["arrays", "maps"])
def test_so_is_what_is_nested_without_end(start: bytes) -> None:
    head = msgspec.msgpack.encode({"type": "failed", "reader": "r"})
    body = (
        b"\x83"
        + head[1:]
        + msgspec.msgpack.encode("problem")
        + b"\x82\xa6reason\xa1x\xa4data\x81\xa1a"
        + start * 100_000
    )
    with pytest.raises(StreamError):
        Decoder[Report](Report).receive(len(body).to_bytes(4, "big") + body)


def nested(levels: int) -> dict[str, object]:
    """Data of a problem that has so many levels in JSON, its own braces counted."""
    value: object = "x"
    for _ in range(levels - 2):
        value = [value]
    return {"holder": value}


MANY = "x" * MAX_SHORT
OUTLINE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
READER = Reader(id="r", name="R", driver="pcsc", media=("vitale-card",), state="empty")


@pytest.mark.parametrize(
    "problem",
    [
        Problem("reader_busy", data=nested(PROBLEM_DEPTH + 1)),
        Problem("reader_busy", data=nested(40)),
        Problem("reader_busy", data={"holder": ["x"] * MAX_SHORT}),
        Problem("reader_busy", detail="\x01" * (MAX_SHORT // 6)),
        Problem(MANY),
        Problem("reader_busy", MANY),
        Problem("reader_busy", data={MANY: 1}),
    ],
    ids=["deep", "deeper", "many", "escaped", "reason", "variant", "member"],
)
def test_a_problem_that_is_too_much_for_a_client_is_refused_wherever_it_comes(problem: Problem) -> None:
    for report in (
        Failed(reader="r", problem=problem),
        Progress(reader="r", step="retry", problem=problem),
        Transmitted(id=1, responses=(), problem=problem),
        Leased(id=1, problem=problem),
        Health(state="degraded", problem=problem),
    ):
        with pytest.raises(StreamError):
            Decoder[Report](Report).receive(encode(report))


def test_a_problem_may_say_what_it_has_to() -> None:
    report = Failed(reader="r", problem=Problem("reader_busy", "scanner", "x" * 10_000, nested(PROBLEM_DEPTH)))
    assert [report] == Decoder[Report](Report).receive(encode(report))


@pytest.mark.parametrize(
    "report",
    [
        Started(driver="pcsc", media=("vitale-card",) * MAX_SHORT),
        Started(driver="pcsc", media=(), version=MANY),
        ReaderAdded(reader=msgspec.structs.replace(READER, name=MANY)),
        ReaderChanged(reader=msgspec.structs.replace(READER, media=("vitale-card",) * MAX_SHORT)),
        ReaderRemoved(reader=MANY),
        Progress(reader="r", step="reading", medium=MANY),
        CodeScanned(reader="r", data=b"x" * MAX_SHORT),
        CodeScanned(reader="r", data=b"", gs1=Gs1(gtin=MANY)),
        Leased(id=1, atr=b"x" * MAX_SHORT),
        Pong(id=1, stuck=MANY),
        WhoHolds(id=1, device=MANY),
        PreviewPicture(reader="r", at=1.0, jpeg=b"", codes=(OUTLINE,) * 1_001),
        PreviewPicture(reader="r", at=1.0, jpeg=b"", codes=(((float("nan"), 0.0), *OUTLINE[1:]),)),
        PreviewPicture(reader="r", at=1.0, jpeg=b"", codes=(((float("-inf"), 0.0), *OUTLINE[1:]),)),
    ],
    ids=lambda report: type(report).__name__,
)
def test_names_and_numbers_without_end_are_refused(report: Report) -> None:
    with pytest.raises(StreamError):
        Decoder[Report](Report).receive(encode(report))


@pytest.mark.parametrize(
    "report",
    [
        Presented(id="u", medium="2d-doc", reader="r", at=1.0, evidence={"a": b"x" * 100_000}, simulated=False),
        CodeScanned(reader="r", data=b"x" * MAX_STRING),
        Transmitted(id=1, responses=(b"x" * 65_538,) * 4),
        PreviewPicture(reader="r", at=1.0, jpeg=b"x" * 100_000, codes=(OUTLINE,) * 1_000),
        Log(level=10, logger="l", text="x" * 100_000),
    ],
    ids=lambda report: type(report).__name__,
)
def test_what_was_read_or_seen_may_be_longer(report: Report) -> None:
    assert [report] == Decoder[Report](Report).receive(encode(report))


def test_a_length_beyond_the_limit_is_refused_before_anything_is_kept() -> None:
    with pytest.raises(StreamError):
        Decoder[Command](Command).receive((MAX_MESSAGE + 1).to_bytes(4, "big"))


def test_a_message_beyond_the_limit_is_not_sent() -> None:
    with pytest.raises(StreamError):
        encode(Log(level=20, logger="l", text="x" * MAX_MESSAGE))


def test_a_report_is_no_command() -> None:
    with pytest.raises(StreamError):
        Decoder[Command](Command).receive(encode(REPORTS[0]))


def test_the_text_of_the_refusal_does_not_quote_the_message() -> None:
    body = b"\x81\xa4type\xa6DUPONT"
    with pytest.raises(StreamError) as refused:
        Decoder[Command](Command).receive(len(body).to_bytes(4, "big") + body)
    assert "DUPONT" not in str(refused.value)
