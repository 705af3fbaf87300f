"""``galss.ini``: found where each system has it, and read as it is written."""

from pathlib import Path

import pytest

from vitale_reader.diagnosis.desk.galss import channels, look, places
from vitale_reader.diagnosis.machine import InspectedMachine

TEXT = """\
[PROTOCOLE]
NbCanaux=2
[CANAL1]
Caracteristiques=Ingenico TL TELIUM(1)
[CANAL2]
Caracteristiques=COM3
"""


def there(root: Path, text: str, path: str = "etc/galss.ini") -> InspectedMachine:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(text.encode())
    return InspectedMachine(root=root, system="linux")


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_channels_are_read_whatever_ends_their_lines(ends: str, tmp_path: Path) -> None:
    (first, *_) = look(there(tmp_path, TEXT.replace("\n", ends)), None, {})
    assert first.values["channels"] == "CANAL1 Ingenico TL TELIUM(1), CANAL2 COM3"
    assert channels(TEXT) == (("CANAL1", "Ingenico TL TELIUM(1)"), ("CANAL2", "COM3"))


def test_a_reader_that_is_absent_and_a_port_that_is_ours(tmp_path: Path) -> None:
    rows = list(look(there(tmp_path, TEXT), ["Gemalto PC Twin Reader 00 00"], {"COM3": "scanner"}))
    assert [row.id for row in rows] == ["galss_found", "galss_absent", "galss_takes_port"]
    assert rows[1].values["name"] == "Ingenico TL TELIUM(1)"
    assert (rows[2].values["port"], rows[2].values["driver"]) == ("COM3", "scanner")


def test_a_reader_that_is_there_is_nothing_to_tell(tmp_path: Path) -> None:
    rows = look(there(tmp_path, TEXT), ["Ingenico TL TELIUM(1) 00 00"], {})
    assert [row.id for row in rows] == ["galss_found"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_it_is_read_in_each_encoding_that_windows_writes(encoding: str, tmp_path: Path) -> None:
    text = TEXT.replace("Ingenico TL TELIUM(1)", "Lecteur intégré")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "galss.ini").write_bytes(text.encode(encoding))
    (row,) = look(InspectedMachine(root=tmp_path, system="linux"), None, {})
    assert row.values["channels"] == "CANAL1 Lecteur intégré, CANAL2 COM3"


@pytest.mark.parametrize(
    "text",
    [
        "GALSS 3.43\n" + TEXT,
        TEXT.replace("[CANAL2]", "a line that is none\n[CANAL2]"),
        TEXT + "[CANAL1]\nCaracteristiques=COM9\n",
        TEXT.replace("[CANAL2]", "Caracteristiques=COM8\n[CANAL2]"),
        TEXT.replace("[CANAL1]", "  [canal1]  ").replace("Caracteristiques=", "CARACTERISTIQUES = "),
        TEXT.replace("=COM3", ' = "COM3"'),
    ],
    ids=["a title", "a stray line", "a section twice", "a setting twice", "letters and spaces", "quotes"],
)
def test_what_is_odd_in_it_is_read_as_windows_reads_it(text: str) -> None:
    found = [(name.upper(), what) for name, what in channels(text)]
    assert [("CANAL1", "Ingenico TL TELIUM(1)"), ("CANAL2", "COM3")] == found


SERIAL = """\
[CONFIG]
NbCanaux=1
[CANAL1]
TCanal=1
Index=3
Protocole=0
Caracteristiques=9600,1,8,0,0
[CANAL1.PAD1]
PAD=2
"""


def test_a_channel_on_a_serial_line_names_its_port_and_no_reader(tmp_path: Path) -> None:
    rows = list(look(there(tmp_path, SERIAL), ["Gemalto PC Twin Reader 00 00"], {"COM3": "nfc"}))
    assert ["galss_found", "galss_takes_port"] == [row.id for row in rows]
    assert rows[0].values["channels"] == "CANAL1 COM3"
    assert ["galss_found"] == [row.id for row in look(there(tmp_path, SERIAL), ["Gemalto PC Twin Reader 00 00"], {})]


@pytest.mark.parametrize("text", ["", "no ini file", "[CANAL1", "[OTHER]\na=b\n"])
def test_a_file_without_channels_is_told(text: str, tmp_path: Path) -> None:
    assert [row.id for row in look(there(tmp_path, text), None, {})] == ["galss_unreadable"]


def test_windows_has_it_in_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "galss.ini").write_text(TEXT)
    assert places(InspectedMachine(system="win32", environ={"SystemRoot": str(tmp_path)})) == (tmp_path / "galss.ini",)
    assert places(InspectedMachine(root=tmp_path / "none", system="darwin")) == ()
