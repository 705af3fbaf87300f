"""What an imager sends, told byte by byte without its content, and the settings that fit."""

import tomllib
from itertools import product
from typing import Any

import msgspec
import pytest

from vitale_drivers.scanner.device_examination import fitting, judge, kinds
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_drivers.scanner.framing import LineReader, Scan
from vitale_drivers.scanner.settings import FRAMINGS, ScannerSettings
from vitale_firmware_sim.imager.device import Imager
from vitale_firmware_sim.imager.faults import Behaviour, framed
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import NoReader, PresentationTimeout
from vitale_reader.cli.sim.imager import PREFIXES, SUFFIXES

INS = b"IS01" + b"0" * 22 + b"S1269054958815780S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA"


BOX = b"\x1d010340093600001417280800104F21B"
PARCEL = b"[)>\x1e06\x1d1P3400930\x1e\x04"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"3400930000000\r\n", {"framing": "crlf"}),
        (b"3400930000000\r", {"framing": "cr"}),
        (b"3400930000000\n", {"framing": "lf"}),
        (b"\x023400930000000\x03", {"framing": "stx-etx"}),
        (b"3400930000000\x03", {"framing": "etx"}),
        (b"3400930000000\0", {"framing": "nul"}),
        (b"3400930000000\t", {"framing": "tab"}),
        (b"3400930000000", {"framing": "idle"}),
        (b"]d1" + INS + b"\r", {"framing": "aim-cr"}),
        (b"]Q1https\r\n", {"framing": "aim-crlf"}),
        (b"]Q1https", {"framing": "idle", "aim": True}),
        (b"]Q1https\0", {"framing": "nul", "aim": True}),
        (b"\\000026https\r", {"framing": "aim-cr"}),
        (b"\x023400930000000\r", {"framing": "cr", "prefix": "\x02"}),
        (b"\x02]Q1https\r", {"framing": "aim-cr", "prefix": "\x02"}),
        (b"3400930000000\x03\r", {"framing": "cr", "suffix": "\x03\r"}),
        (b"3400930000000\r\n\r\n", {"framing": "crlf"}),
        (b"3400930000000" + b"\0" * 5, {"framing": "nul"}),
        (b"\x1bA3400\x1bZ\r", None),
        (b"3400\r3401\r", None),
        (b"\r\n", None),
    ],
)
def test_the_fewest_settings_that_fit(sent: bytes, expected: dict[str, str | bool] | None) -> None:
    assert fitting(sent, ScannerSettings()) == expected


CONFIGURED: tuple[dict[str, Any], ...] = (
    *({"framing": name} for name in FRAMINGS),
    {"prefix": "\x02", "suffix": "\x03", "aim": False},
    {"framing": "idle", "prefix": "", "suffix": ["\r", "\n"], "aim": True},
)


@pytest.mark.parametrize("content", [INS, BOX, PARCEL, b"VITALESIM.c29tZXRoaW5n", b"3400930000000"])
@pytest.mark.parametrize("suffix", [*SUFFIXES.values(), b"\x03\r", b"\x03\r\n", b"\t\r", b"\r\r"], ids=repr)
@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=repr)
def test_whatever_imager_and_configuration_the_codes_are_read_afterwards(
    prefix: bytes, suffix: bytes, content: bytes
) -> None:
    for aim, eci, own in product((False, True), (False, True), CONFIGURED):
        sent = framed(content, "qr", Behaviour(prefix, suffix, aim=aim, eci=eci))
        rows = list[CheckResult]()
        judge(sent, msgspec.convert(own, ScannerSettings), rows.append)
        assert rows[-1].id in {"scan_as_configured", "scan_other_framing"}, (sent, own)
        told = tomllib.loads(rows[-1].values.get("settings", "").replace("`, `", "\n").strip("`"))
        assert read(sent, own | told) == content, (sent, own, told)


def read(sent: bytes, options: dict[str, Any]) -> bytes | None:
    """The one code that a driver with these options reads."""
    settings = msgspec.convert(options, ScannerSettings)
    reader = LineReader(settings.scan_framing(), settings.max_bytes, 0.1, 0.5)
    events = [*reader.receive(sent, 0.0), *reader.expire(5.0)]
    return events[0].data if len(events) == 1 and isinstance(events[0], Scan) else None


def test_bytes_are_told_by_their_kind() -> None:
    assert list(kinds(b"\x02]d1AB 9\x1d-\xc3\r\n\0")) == [
        "STX", "]", "d", "1", "A", "A", "SP", "9", "GS", "·", "C3", "CR", "LF", "NUL",
    ]  # fmt: skip


def tried(imager: Imager, data: bytes, symbology: str = "qr", **options: object) -> list[CheckResult]:
    """The steps of a trial, while the imager scans as soon as it is asked to."""
    rows = list[CheckResult]()

    def hear(row: CheckResult) -> None:
        rows.append(row)
        if row.id == "scan_awaited":
            imager.scan(data, symbology)

    ScannerDriver({"devices": [imager.path], **options}).examine(hear, 20.0)
    return rows


@pytest.mark.posix
def test_an_imager_as_configured() -> None:
    with Imager() as imager:
        rows = tried(imager, INS, "datamatrix")
    assert [row.id for row in rows] == ["scan_awaited", "scan_bytes", "scan_as_configured"]
    told = msgspec.json.encode(rows).decode()
    assert [text for text in ("SARAH", "GARCIA", "269054958815780") if text in told] == []
    assert rows[1].values["kinds"].endswith("CR")


@pytest.mark.posix
@pytest.mark.parametrize(
    ("behaviour", "settings"),
    [
        (Behaviour(), '`framing = "cr"`'),
        (Behaviour(suffix=b"\0"), '`framing = "nul"`'),
        (Behaviour(suffix=b"", aim=True), '`framing = "idle"`, `aim = true`'),
        (Behaviour(prefix=b"\x02"), r'`framing = "cr"`, `prefix = "\u0002"`'),
    ],
)
def test_other_settings_are_told(behaviour: Behaviour, settings: str) -> None:
    with Imager(behaviour) as imager:
        rows = tried(imager, b"3400930000000", framing="stx-etx")
    assert (rows[-1].id, rows[-1].values["settings"]) == ("scan_other_framing", settings)
    for language in LANGUAGES:
        assert settings in tell(rows[-1], language).remedy


@pytest.mark.posix
def test_a_scan_that_no_framing_fits_is_told() -> None:
    with Imager() as imager:
        rows = tried(imager, b"\x1bA3400930000000\x1bZ")
    assert (rows[-1].id, rows[-1].state) == ("scan_fits_none", "wrong")
    assert [tell(rows[-1], language).remedy for language in LANGUAGES if not tell(rows[-1], language).remedy] == []


@pytest.mark.posix
def test_another_speed_is_told() -> None:
    with Imager() as imager:
        rows = tried(imager, bytes(range(0x80, 0xF0)))
    assert rows[-1].id == "scan_garbled"


@pytest.mark.posix
def test_nothing_comes() -> None:
    with Imager() as imager, pytest.raises(PresentationTimeout):
        ScannerDriver({"devices": [imager.path]}).examine(lambda _: None, 0.2)


def test_no_imager_is_there() -> None:
    with pytest.raises(NoReader):
        ScannerDriver({"devices": ["/nowhere"]}).examine(lambda _: None, 1.0)


@pytest.mark.posix
def test_an_imager_of_another_name_is_not_tried() -> None:
    with Imager() as imager, pytest.raises(NoReader):
        ScannerDriver({"devices": [imager.path]}).examine(lambda _: None, 1.0, "Honeywell")
