"""``scans``: presented, kept for a moment, forgotten; on a clock of the test's own."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from tests.problems import about, named
from vitale_drivers.base import Arm, CodeScanned, Failed, Presented, Progress, ReaderChanged, Report
from vitale_drivers.scanner.framing import Dropped, Scan
from vitale_drivers.scanner.scans import MEDIA, Scans
from vitale_protocol.catalogue import variants
from vitale_protocol.events import Gs1, Reader

READER = Reader(id="scanner:x", name="x", driver="scanner", media=MEDIA, state="empty", simulated=True)
INS = b"IS01" + b"0" * 22 + b"S1277010115400329S21.2.250.1.213.1.4.8\x1dS3SARAH"
ONE, TWO = b"one opaque string", b"another opaque string"
GRACE, REPEAT = 5.0, 1.0


@dataclass
class Desk:
    """Scans whose time passes when the test says so."""

    now: float = 1000.0
    reports: list[Report] = field(default_factory=list[Report])

    def __post_init__(self) -> None:
        self.scans = Scans(READER, GRACE, REPEAT, self.reports.append, lambda: self.now, lambda: self.now + 1e9)

    def arm(self, *media: str, ends_in: float = 600.0, readers: tuple[str, ...] = ()) -> None:
        self.scans.arm(Arm(media=media or MEDIA, readers=readers, again=("scanner:x",), deadline=self.now + ends_in))

    def scan(self, data: bytes = b"an opaque string", symbology: str = "") -> None:
        self.scans.take(Scan(data, symbology, 0.01))

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.scans.expire()

    @property
    def told(self) -> list[str]:
        """What was reported, in short, and forgotten then."""
        short: list[str] = []
        for report in self.reports:
            match report:
                case Presented():
                    short.append(f"presented {report.medium}")
                case Failed():
                    short.append(f"failed {report.problem.reason}")
                case Progress():
                    short.append(f"{report.step} {about(report)}")
                case CodeScanned():
                    short.append(f"code {report.symbology} {report.data.decode()}")
                case ReaderChanged():
                    short.append(f"{report.reader.state} {report.reader.medium}")
                case _:
                    raise AssertionError(report)
        self.reports.clear()
        return short


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_a_scan_is_presented_and_over(desk: Desk) -> None:
    desk.arm()
    desk.scan()
    (_, presented, _) = desk.reports
    assert isinstance(presented, Presented)
    assert presented.evidence == {"string": b"an opaque string"}
    assert (presented.reader, presented.at, presented.elapsed) == ("scanner:x", 1e9 + 1000.0, 0.01)
    assert presented.simulated
    assert presented.over
    assert desk.told == ["present apcv-qr", "presented apcv-qr", "empty None"]
    desk.after(100)
    desk.arm()
    assert desk.told == []


def test_what_the_imager_knows_of_the_symbology_is_told(desk: Desk) -> None:
    desk.arm()
    desk.scan(symbology="qr")
    assert [report.evidence["symbology"] for report in desk.reports if isinstance(report, Presented)] == [b"qr"]


def test_a_scan_before_the_request_is_used_once_with_the_time_of_the_scan(desk: Desk) -> None:
    desk.scan()
    assert desk.told == ["present apcv-qr"]
    desk.after(GRACE - 0.1)
    desk.arm()
    assert [report.at for report in desk.reports if isinstance(report, Presented)] == [1e9 + 1000.0]
    assert desk.told == ["presented apcv-qr", "empty None"]
    desk.arm()
    desk.after(1.0)
    desk.arm()
    assert desk.told == []


def test_a_scan_that_nobody_asks_for_is_forgotten_with_its_bytes(desk: Desk) -> None:
    secret = b"an opaque string " + bytes(str(desk.now), "ascii")
    desk.scan(bytes(secret))
    due = desk.scans.due
    assert due == desk.now + GRACE
    desk.after(GRACE)
    assert desk.told == ["present apcv-qr", "empty None"]
    assert desk.scans.due is None
    assert secret not in repr(vars(desk.scans)).encode()
    desk.arm()
    assert desk.told == []


def test_an_arm_after_the_grace_finds_nothing_though_nobody_looked_meanwhile(desk: Desk) -> None:
    desk.scan()
    desk.now += GRACE
    desk.arm()
    assert desk.told == ["present apcv-qr", "empty None"]


def test_the_next_scan_takes_the_place_of_one_that_lies_there(desk: Desk) -> None:
    desk.scan(ONE)
    desk.after(3.0)
    desk.scan(INS)
    desk.after(3.0)
    desk.arm()
    assert desk.told == [
        "present apcv-qr",
        "empty None",
        "present ins-datamatrix",
        "presented ins-datamatrix",
        "empty None",
    ]


def test_two_scans_at_once_are_two_presentations(desk: Desk) -> None:
    desk.arm()
    desk.scan(ONE)
    desk.scan(TWO)
    strings = [report.evidence["string"] for report in desk.reports if isinstance(report, Presented)]
    assert strings == [ONE, TWO]


def test_of_two_scans_at_once_that_nobody_asked_for_the_second_lies_there(desk: Desk) -> None:
    desk.scan(ONE)
    desk.scan(TWO)
    desk.arm()
    assert [report.evidence["string"] for report in desk.reports if isinstance(report, Presented)] == [TWO]


def test_a_medium_that_is_not_wanted_lies_there(desk: Desk) -> None:
    desk.arm("2d-doc")
    desk.scan(INS)
    desk.after(1.0)
    desk.arm("ins-datamatrix")
    assert desk.told == ["present ins-datamatrix", "presented ins-datamatrix", "empty None"]


@pytest.mark.parametrize("how", ["disarmed", "past its deadline", "another reader"])
def test_it_is_presented_only_while_it_is_wanted_here(desk: Desk, how: str) -> None:
    match how:
        case "disarmed":
            desk.arm()
            desk.scans.disarm()
        case "past its deadline":
            desk.arm(ends_in=1.0)
            desk.now += 1.0
        case _:
            desk.arm(readers=("scanner:y",))
    desk.scan()
    assert desk.told == ["present apcv-qr"]


def test_a_reader_that_leaves_takes_along_what_lay_there(desk: Desk) -> None:
    desk.scan()
    desk.scans.leave()
    desk.scans.appear(READER)
    assert desk.told == ["present apcv-qr"]
    desk.arm()
    assert desk.told == []


# ── the same again ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_imager_in_its_stand_that_repeats_itself_tells_one_scan(desk: Desk) -> None:
    desk.arm()
    for _ in range(10):
        desk.scan()
        desk.after(REPEAT - 0.1)
    assert desk.told == ["present apcv-qr", "presented apcv-qr", "empty None"]
    desk.after(REPEAT)
    desk.scan()
    assert desk.told == ["present apcv-qr", "presented apcv-qr", "empty None"]


def test_what_is_repeated_while_it_lies_there_lies_there_anew(desk: Desk) -> None:
    desk.scan()
    desk.after(0.9)
    desk.scan()
    desk.after(GRACE - 0.1)
    desk.arm()
    assert desk.told == ["present apcv-qr", "presented apcv-qr", "empty None"]


def test_another_code_is_no_repetition(desk: Desk) -> None:
    desk.arm()
    for data in (ONE, TWO, ONE):
        desk.scan(data)
    assert desk.told.count("presented apcv-qr") == 3


# ── what is no code of a patient ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("data", "symbology", "reason", "variant"),
    [
        (b"277010115400329", "code128", "medium_unsupported", "nir"),
        (b"mdoc:owBjMS4w", "qr", "medium_unsupported", "mdoc"),
        (b"", "qr", "payload_invalid", "empty"),
    ],
)
def test_what_cannot_be_presented_is_told_to_who_waits(
    desk: Desk, data: bytes, symbology: str, reason: str, variant: str
) -> None:
    desk.scan(data, symbology)
    desk.after(REPEAT - 0.3)
    desk.arm()
    assert desk.told == []
    desk.scan(data, symbology)
    (failed,) = desk.reports
    assert isinstance(failed, Failed)
    assert (failed.reader, failed.problem.reason, failed.problem.variant) == ("scanner:x", reason, variant)
    assert data.decode() not in failed.problem.detail or not data
    desk.scan(data, symbology)
    assert len(desk.reports) == 1, "an imager in its stand repeats that, too"


def test_it_is_told_to_who_asks_at_that_moment_once(desk: Desk) -> None:
    desk.scan(b"277010115400329", "code128")
    desk.after(0.4)
    assert desk.told == []
    desk.arm()
    desk.arm()
    assert desk.told == ["failed medium_unsupported"]


@pytest.mark.parametrize(("ordered", "told"), [(1000.4, ["failed medium_unsupported"]), (1000.6, [])])
def test_an_order_counts_from_when_it_was_given(desk: Desk, ordered: float, told: list[str]) -> None:
    """A busy machine may bring it seconds later."""
    desk.scan(b"277010115400329", "code128")
    desk.after(30)
    desk.scans.arm(Arm(media=MEDIA, deadline=desk.now + 600, at=ordered))
    assert desk.told == told


def test_what_is_scanned_afterwards_counts_instead(desk: Desk) -> None:
    desk.scan(b"277010115400329", "code128")
    desk.scan(INS)
    desk.arm()
    assert desk.told == ["present ins-datamatrix", "presented ins-datamatrix", "empty None"]


def test_beginnings_that_are_set_are_no_patients_code(desk: Desk) -> None:
    desk.scans = Scans(READER, GRACE, REPEAT, desk.reports.append, lambda: desk.now, others=(b"EP:", b"RX-"))
    desk.arm()
    desk.scan(b"EP:2026-0123456789", "qr")
    desk.scan(b"RX-2026-0123456789")
    desk.scan(b"an EP: of a phone that is opaque", "qr")
    assert desk.told == [
        "code qr EP:2026-0123456789",
        "code  RX-2026-0123456789",
        "present apcv-qr",
        "presented apcv-qr",
        "empty None",
    ]


def test_the_format_that_a_licence_names_is_presented(desk: Desk) -> None:
    string = b'{"jeton": "0123456789abcdef0123"}'
    desk.arm()
    desk.scan(string, "qr")
    assert desk.told == [f"code qr {string.decode()}"]
    desk.scans = Scans(READER, GRACE, REPEAT, desk.reports.append, lambda: desk.now, formats=("json",))
    desk.arm()
    desk.scan(string, "qr")
    assert desk.told == ["present apcv-qr", "presented apcv-qr", "empty None"]


@pytest.mark.parametrize("armed", [True, False])
def test_a_code_that_is_no_patients_is_told_each_time_that_it_is_scanned(desk: Desk, armed: bool) -> None:
    if armed:
        desk.arm()
    for _ in range(2):
        desk.scan(b"3400930000120", "ean")
    desk.scan(b"3000012", "code39")
    assert desk.told == ["code ean 3400930000120", "code ean 3400930000120", "code code39 3000012"]
    desk.after(1.0)
    desk.arm()
    assert desk.told == []


def test_a_box_says_what_is_printed_on_it(desk: Desk) -> None:
    desk.scan(b"010340093000012010A", "gs1-datamatrix")
    desk.scan(b"010340093000012110A", "gs1-datamatrix")
    desk.scan(b"\xff\x00 as bytes", "datamatrix")
    told = [(report.reader, report.gs1) for report in desk.reports if isinstance(report, CodeScanned)]
    assert told == [("scanner:x", Gs1(gtin="03400930000120", lot="A")), ("scanner:x", None), ("scanner:x", None)]


def test_a_box_takes_nothing_from_the_patient_whose_code_lies_there(desk: Desk) -> None:
    desk.scan(INS)
    desk.scan(b"3400930000120", "ean")
    desk.arm()
    assert desk.told == [
        "present ins-datamatrix",
        "code ean 3400930000120",
        "presented ins-datamatrix",
        "empty None",
    ]


def test_codes_that_came_as_one_are_scanned_again_and_end_nothing(desk: Desk) -> None:
    desk.arm()
    desk.scan(b"3400930000120" + INS)
    (retry,) = desk.reports
    assert isinstance(retry, Progress)
    assert (retry.step, named(retry.problem)) == ("retry", "payload_invalid.several")
    desk.scan(INS)
    assert desk.told[-2:] == ["presented ins-datamatrix", "empty None"]


def test_a_line_that_is_too_long_is_told_to_who_waits(desk: Desk) -> None:
    desk.scans.take(Dropped("too-long"))
    desk.after(1.0)
    desk.arm()
    assert desk.told == []
    desk.scans.take(Dropped("too-long"))
    (failed,) = desk.reports
    assert isinstance(failed, Failed)
    assert named(failed.problem) == "payload_invalid.too-long"
    assert "too-long" in variants("payload_invalid")


@pytest.mark.parametrize("why", ["incomplete", "garbled"])
def test_what_is_dropped_while_nobody_waits_is_told(
    desk: Desk, why: Literal["incomplete", "garbled"], caplog: pytest.LogCaptureFixture
) -> None:
    """A box whose code does not reach its program; and to who asks at that moment, as what cannot be presented."""
    desk.scans.take(Dropped(why))
    assert [f"scanner:x: what was scanned is {why}, and was dropped"] == caplog.messages
    desk.after(0.4)
    assert [] == desk.told
    desk.arm()
    desk.arm()
    assert [f"retry payload_invalid.{why}"] == desk.told


def test_what_was_dropped_takes_nothing_from_the_code_that_lies_there(desk: Desk) -> None:
    desk.scan(INS)
    desk.scans.take(Dropped("incomplete"))
    desk.arm()
    assert ["present ins-datamatrix", "presented ins-datamatrix", "empty None"] == desk.told


def test_a_line_that_did_not_end_is_a_reason_to_scan_again(desk: Desk) -> None:
    desk.scans.take(Dropped("incomplete"))
    desk.after(1.0)
    assert desk.told == []
    desk.arm()
    desk.scans.take(Dropped("incomplete"))
    assert desk.told == ["retry payload_invalid.incomplete"]
    assert "incomplete" in variants("payload_invalid")


@pytest.mark.parametrize(
    "data", [b"\x9f\x9f\xbd\x9e-and so on and on", b"an opaque string\x00", "é as in Latin-1, not".encode("latin-1")]
)
def test_a_string_that_is_no_text_is_an_apcv_only_where_the_imager_says_qr(desk: Desk, data: bytes) -> None:
    desk.scan(data)
    desk.after(1.0)
    assert desk.told == []
    desk.arm()
    desk.scan(data)
    desk.scan(data[:4] + b"\xff")
    assert desk.told == ["retry payload_invalid.garbled", "retry payload_invalid.garbled"]
    assert "garbled" in variants("payload_invalid")
    desk.scan(data, "qr")
    assert [report.evidence["string"] for report in desk.reports if isinstance(report, Presented)] == [data]


@pytest.mark.parametrize("data", ["é€, and so on".encode(), b"a\x1db\x1ec\x1fd, and so on", b"\tand so on and on"])
def test_text_is_whatever_is_text(desk: Desk, data: bytes) -> None:
    desk.arm()
    desk.scan(data)
    assert [report.evidence["string"] for report in desk.reports if isinstance(report, Presented)] == [data]


# ── noise ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_more_scans_than_any_hand_makes_are_told_once_and_dropped(desk: Desk) -> None:
    desk.arm()
    for second in range(3):
        for number in range(5_000):
            desk.scan(b"scan %d of second no. %d" % (number, second))
        told = desk.told
        assert told.count("presented apcv-qr") == 100
        assert [one for one in told if one.startswith("retry")] == ["retry payload_invalid.garbled"]
        desk.after(1.0)
    desk.scan(b"an opaque string by hand")
    assert "presented apcv-qr" in desk.told
