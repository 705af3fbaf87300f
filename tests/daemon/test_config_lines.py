"""The line of a setting, and what a person is told of it."""

from pathlib import Path

import pytest

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.config import load, located
from vitale_reader.daemon.config_file import line_of

TEXT = """\
# settings
store = "sqlite"
station.name = "Comptoir"

[tls]
port = 7816

[drivers]
enabled = ["scanner"]
options.pcsc = { profile = 1 }

[drivers.options."scanner"]
devices = [
    "usb",
]
framing = "line"
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("store", 2),
        ("station.name", 3),
        ("tls.port", 6),
        ("tls.lan", 5),
        ("drivers.enabled[0]", 9),
        ("drivers.options.pcsc.profile", 10),
        ("drivers.options.scanner.devices[0]", 13),
        ("drivers.options.scanner.speed", 12),
        ("site.tls", None),
        ("Invalid statement (at line 4, column 2)", 4),
    ],
)
def test_the_line_of_a_setting(path: str, line: int | None) -> None:
    assert line_of(TEXT, path) == line


@pytest.mark.parametrize(
    ("text", "line"), [("[tls]\nprot = 1\n", 2), ("[tls]\nport = 1\nport = 2\n", 3), ("a = \n", 1)]
)
def test_a_mistake_has_its_line(text: str, line: int, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigurationInvalid) as refused:
        load(tmp_path / "config.toml")
    assert refused.value.data["line"] == line


def test_a_mistake_found_later_has_its_line_as_far_as_the_file_is_there(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    error = ConfigurationInvalid("no", data={"path": "apcv.resolver"})
    assert located(error, file).data == {"file": str(file), "path": "apcv.resolver"}
    file.write_text('[apcv]\nresolver = "x"\n', "utf-8")
    assert located(error, file).data == {"file": str(file), "path": "apcv.resolver", "line": 2}
