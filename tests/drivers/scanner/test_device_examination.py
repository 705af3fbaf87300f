"""What an imager sends, told byte by byte without its content, and the framing that fits."""

import msgspec
import pytest

from vitale_drivers.scanner.device_examination import fitting, kinds
from vitale_drivers.scanner.driver import ScannerDriver
from vitale_firmware_sim.imager.device import Imager
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_protocol.diagnosis.findings import tell
from vitale_protocol.errors import NoReader, PresentationTimeout

INS = b"IS01" + b"0" * 22 + b"S1269054958815780S21.2.250.1.213.1.4.8\x1dS3SARAH-LOU\x1dS4GARCIA"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"3400930000000\r\n", "crlf"),
        (b"3400930000000\r", "cr"),
        (b"3400930000000\n", "lf"),
        (b"\x023400930000000\x03", "stx-etx"),
        (b"3400930000000\x03", "etx"),
        (b"3400930000000\0", "nul"),
        (b"3400930000000\t", "line"),
        (b"]d1" + INS + b"\r", "aim-cr"),
        (b"]Q1https\r\n", "aim-crlf"),
        (b"3400930000000", "idle"),
        (b"\x02only a beginning\r", None),
        (b"\x1bA3400\x1bZ\r", None),
    ],
)
def test_the_framing_that_names_the_most_fits(sent: bytes, expected: str | None) -> None:
    assert fitting(sent) == expected


def test_bytes_are_told_by_their_kind() -> None:
    assert list(kinds(b"\x02]d1AB 9\x1d-\xc3\r\n")) == [
        "STX", "]", "d", "1", "A", "A", "SP", "9", "GS", "·", "C3", "CR", "LF",
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
def test_another_framing_is_named() -> None:
    with Imager() as imager:
        rows = tried(imager, b"3400930000000", framing="stx-etx")
    assert (rows[-1].id, rows[-1].values["framing"]) == ("scan_other_framing", "cr")


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
