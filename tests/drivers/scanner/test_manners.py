"""The manners of makers' imagers, each on the simulated one behind real pyserial."""

import pytest

from tests.drivers.scanner.desks import INS, Desk, MakeDesk
from tests.problems import named
from vitale_drivers.base import CodeScanned, Presented, Progress
from vitale_drivers.scanner import framing
from vitale_drivers.scanner.maker_identifiers import MAKER_IDENTIFIERS, recognise_identifier, split_maker_identifier
from vitale_firmware_sim.imager.faults import MAKERS, Behaviour, ImagerFaults
from vitale_protocol.media.apcv import SIMULATED_PREFIX

pytestmark = pytest.mark.posix

PHONE = SIMULATED_PREFIX + b"a string of the simulator"
REAL = b"q3J0c2hYb1ZrT2dLd2JzUA-an-opaque-string-of-nobody"
EAN = b"3400930000120"


def retried(desk: Desk, variant: str) -> None:
    """Waits until who waits is told to scan again, for this reason."""
    desk.inbox.wait(Progress, lambda report: named(report.problem) == f"payload_invalid.{variant}")


# ── identifiers of makers ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("maker", MAKERS)
def test_a_makers_identifiers_are_known_where_they_are_set(make_desk: MakeDesk, maker: str) -> None:
    desk = make_desk(behaviour=Behaviour(maker=maker), identifiers=maker)
    desk.arm()
    for data in (PHONE, REAL):
        found = desk.scanned(data)
        assert found.evidence["string"] == data
        assert found.evidence["symbology"] == b"qr"
    assert desk.scanned(INS, "datamatrix").evidence["code"] == INS
    desk.imager.scan(EAN, "ean")
    assert CodeScanned(reader=desk.id, data=EAN, symbology="ean", format="article") == desk.inbox.wait(CodeScanned)
    desk.imager.scan(b"COLIS 12345", "code128")
    assert CodeScanned(reader=desk.id, data=b"COLIS 12345", symbology="code128") == desk.inbox.wait(CodeScanned)


@pytest.mark.parametrize("maker", MAKERS)
def test_they_are_recognised_before_what_proves_itself_where_nothing_is_set(make_desk: MakeDesk, maker: str) -> None:
    desk = make_desk(behaviour=Behaviour(maker=maker))
    desk.arm()
    assert desk.scanned(INS, "datamatrix").evidence["code"] == INS
    found = desk.scanned(PHONE).evidence
    assert (found["string"], found.get("symbology", b"qr")) == (PHONE, b"qr"), "makers contradict each other"


@pytest.mark.parametrize("maker", MAKER_IDENTIFIERS)
def test_the_tables_say_where_they_are_from_and_contradict_not_themselves(maker: str) -> None:
    made = MAKER_IDENTIFIERS[maker]  # type: ignore[index]  # the keys are what is walked through
    assert made.source
    for identifier, symbology in made.symbologies.items():
        assert split_maker_identifier(identifier + b"content", maker) == (symbology, b"content")  # type: ignore[arg-type]
    assert {len(identifier) for identifier in made.symbologies} <= {1, 2, 3}


@pytest.mark.parametrize("line", [REAL, b"s" + REAL, b"P01" + REAL, EAN, b"", b"w", b"IS01"])
def test_what_proves_nothing_is_left_as_it_is(line: bytes) -> None:
    assert recognise_identifier(line) == ("", line)


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("suffix", [b"\r", b"\n", b"\r\n", b"\t", b"\t\r", b"\x03", b"\x03\r\n"])
def test_the_default_framing_knows_the_ends_that_imagers_have(make_desk: MakeDesk, suffix: bytes) -> None:
    desk = make_desk(behaviour=Behaviour(suffix=suffix))
    desk.arm()
    for data in (REAL, PHONE):
        assert desk.scanned(data).evidence["string"] == data
    assert desk.scanned(INS, "datamatrix").evidence["code"] == INS


@pytest.mark.parametrize(
    ("framing", "behaviour"),
    [
        ("tab", Behaviour(suffix=b"\t")),
        ("etx", Behaviour(suffix=b"\x03")),
        ("nul", Behaviour(suffix=b"\0")),
        ("stx-etx", Behaviour(prefix=b"\x02", suffix=b"\x03")),
        ("idle", Behaviour(suffix=b"")),
    ],
)
@pytest.mark.parametrize("maker", ["", "zebra"])
def test_every_end_has_a_framing_also_with_identifiers(
    make_desk: MakeDesk, framing: str, behaviour: Behaviour, maker: str
) -> None:
    behaviour = Behaviour(behaviour.prefix, behaviour.suffix, maker=maker)
    options = {"identifiers": maker} if maker else {}
    desk = make_desk(behaviour=behaviour, framing=framing, **options)
    desk.arm()
    assert desk.scanned(PHONE).evidence["string"] == PHONE
    assert desk.scanned(INS, "datamatrix").evidence["code"] == INS


# ── escapes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("behaviour", [Behaviour(eci=True), Behaviour(eci=True, aim=True)])
def test_escapes_of_the_extended_channel_are_taken_away_announced_or_not(
    make_desk: MakeDesk, behaviour: Behaviour
) -> None:
    desk = make_desk(behaviour=behaviour)
    desk.arm()
    for data in (REAL + rb"\with\backslashes", PHONE):
        assert desk.scanned(data).evidence["string"] == data
    assert desk.scanned(INS, "datamatrix").evidence["code"] == INS


def test_escapes_behind_a_makers_identifier_are_taken_away(make_desk: MakeDesk) -> None:
    desk = make_desk(behaviour=Behaviour(eci=True, maker="zebra"), identifiers="zebra")
    desk.arm()
    assert desk.scanned(REAL).evidence == {"string": REAL, "symbology": b"qr"}


@pytest.mark.parametrize("data", [rb"\n00026" + REAL, rb"\000026", REAL + rb"\000026"])
def test_a_backslash_of_the_code_stays(make_desk: MakeDesk, data: bytes) -> None:
    desk = make_desk(framing="cr")
    desk.arm()
    desk.imager.scan(data)
    if len(data) < 16:
        assert desk.inbox.wait(CodeScanned).data == data
    else:
        assert desk.inbox.wait(Presented).evidence["string"] == data


# ── faults of the line ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parity", ["even", "odd"])
@pytest.mark.parametrize("code", [PHONE, REAL, INS, EAN, b"0103400930000120"])
def test_a_wrong_parity_is_told_as_garbled_and_nothing_is_read(make_desk: MakeDesk, parity: str, code: bytes) -> None:
    desk = make_desk(faults=f"{parity}-parity", line_timeout=0.3)
    desk.arm()
    desk.imager.scan(code)
    retried(desk, "garbled")
    assert not [report for report in desk.inbox.reports if isinstance(report, (Presented, CodeScanned))]


@pytest.mark.parametrize("code", [REAL, EAN + b" and more of it", b"277010115400329" + b"277010115400329"])
@pytest.mark.parametrize("at", [1, 3, 5, 12])
def test_the_tail_of_a_torn_scan_is_never_a_code(
    make_desk: MakeDesk, code: bytes, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(framing, "_REST", 600.0)
    desk = make_desk(line_timeout=0.3)
    desk.arm()
    desk.imager.send(code[:at])
    retried(desk, "incomplete")
    desk.imager.send(code[at:] + b"\r")
    retried(desk, "incomplete")
    assert not [report for report in desk.inbox.reports if isinstance(report, (Presented, CodeScanned))]
    # The next scan is whole again.
    assert desk.scanned(REAL).evidence["string"] == REAL


def test_a_torn_scan_that_is_scanned_once_more_is_read_at_once(make_desk: MakeDesk) -> None:
    desk = make_desk(line_timeout=0.3)
    desk.arm()
    for code in (REAL, INS, PHONE):
        desk.imager.send(code[:20])
        retried(desk, "incomplete")
        desk.imager.send(code + b"\r")
        assert code in desk.inbox.wait(Presented).evidence.values()


def test_after_a_torn_scan_what_proves_itself_is_read_at_once(make_desk: MakeDesk) -> None:
    desk = make_desk(line_timeout=0.3)
    desk.arm()
    for code in (INS, PHONE, b"]Q1" + REAL):
        desk.imager.send(b"the head of another")
        retried(desk, "incomplete")
        desk.imager.send(code + b"\r")
        assert code.removeprefix(b"]Q1") in desk.inbox.wait(Presented).evidence.values()


def test_the_rest_of_a_scan_without_an_end_is_no_code(make_desk: MakeDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "_QUICKEST", 600.0)  # the pause of 1 s that ends each of them is a short one
    desk = make_desk(behaviour=Behaviour(suffix=b""), framing="idle")
    desk.imager.faults = ImagerFaults()
    desk.arm()
    desk.imager.send(REAL[:20])
    desk.pause()
    assert desk.inbox.wait(Presented).evidence["string"] == REAL[:20], "half a code without an end looks whole"
    desk.imager.send(REAL[20:])
    desk.pause()
    retried(desk, "incomplete")
