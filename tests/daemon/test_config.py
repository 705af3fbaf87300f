"""Settings are checked at the edge, and a misspelt one is not silently without effect."""

from pathlib import Path

import pytest

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.config import Config, load, parse, shown


def test_everything_may_be_left_out(tmp_path: Path) -> None:
    assert load(tmp_path / "absent.toml") == Config()
    assert parse("") == Config()


def test_a_whole_file() -> None:
    config = parse(
        """
        audit_days = 30
        [station]
        name = "Pharmacie du Pont"
        mode = "simulated"
        [tls]
        port = 0
        [drivers]
        enabled = ["pcsc"]
        [drivers.options.pcsc]
        busy_timeout = 3.0
        """
    )
    assert (config.station.name, config.station.mode, config.tls.port) == ("Pharmacie du Pont", "simulated", 0)
    assert config.drivers.options == {"pcsc": {"busy_timeout": 3.0}}
    assert config.audit_days == 30


@pytest.mark.parametrize(
    "text",
    [
        "[station]\nmod = 'simulated'",
        "[station]\nmode = 'demo'",
        *(f'[station]\nname = "a\\u{code}b"' for code in ("000a", "001b", "0085", "2028", "202e", "2067")),
        "[tls]\nport = 70000",
        "[tls]\nport = '7816'",
        "[tokens]\nlifetime = 601",
        "unknown = 1",
        "[station",
        "store = 'mysql'",
        "store = 'postgres:secret'",
        pytest.param("deep = " + "[" * 10_000, id="deep"),
    ],
)
def test_a_wrong_setting_is_told(text: str) -> None:
    with pytest.raises(ConfigurationInvalid) as told:
        parse(text, source="here.toml")
    assert "secret" not in repr(told.value) + str(told.value.data)
    assert told.value.data["file"] == "here.toml"


def test_a_store_that_is_none_is_told_with_its_setting_and_line() -> None:
    with pytest.raises(ConfigurationInvalid) as told:
        parse("audit_days = 3\nstore = 'postgres:secret'\n", source="here.toml")
    assert {"file": "here.toml", "line": 2, "path": "store"} == told.value.data
    assert "store: neither sqlite nor a URL postgresql://…" == told.value.detail


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[station]\nname = "x"\n[station]\n', 3),
        ('[station]\nname = "x"\nname = "y"\n', 3),
        ("a = 1\nb\n", 2),
        ("a = 'C:\\x'\nb = \"C:\\Users\"\n", 2),
    ],
    ids=["a table twice", "a setting twice", "no value", "a path of Windows"],
)
def test_a_mistake_in_writing_has_a_line_and_names_no_setting(text: str, line: int) -> None:
    with pytest.raises(ConfigurationInvalid) as told:
        parse(text, source="here.toml")
    assert (line, "$") == (told.value.data["line"], told.value.data["path"])


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationInvalid):
        load(tmp_path / "config.toml")
    with pytest.raises(ConfigurationInvalid):
        load(tmp_path)


@pytest.mark.parametrize(
    ("store", "seen"),
    [
        ("sqlite", "sqlite"),
        ("postgresql://desk@db/site", "postgresql://desk@db/site"),
        ("postgresql://desk@db:5432/site", "postgresql://desk@db:5432/site"),
        ("postgresql://desk:secret@db:5432/site", "postgresql://desk:***@db:5432/site"),
        ("postgresql://desk:secret@se/cret@db/site?host=/run", "postgresql://desk:***@db/site?host=/run"),
        ("postgresql://:secret@db/site", "postgresql://:***@db/site"),
        ("postgresql://db/site?user=d&password=secret&x=1", "postgresql://db/site?user=d&password=***&x=1"),
        ("postgresql://db/site?sslpassword=secret", "postgresql://db/site?sslpassword=***"),
    ],
)
def test_the_password_of_the_database_is_not_shown(store: str, seen: str) -> None:
    config = parse(f"store = '{store}'")
    assert config.store == store
    assert shown(config)["store"] == seen
    assert "secret" not in repr(config)


@pytest.mark.parametrize(
    ("value", "variant"),
    [
        (r'"C:\Users\desk\list.xml"', "backslash"),
        (r'"\\server\share\list.xml"', "backslash"),
        (r'"D:\été\list.xml"', "backslash"),
        (r'"sqlite:///C:\data\site"', "backslash"),
        ('"unfinished', "syntax"),
    ],
)
def test_a_path_of_windows_in_double_quotes_is_told_as_that(value: str, variant: str) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        parse(f"[seals]\ntrust_list = [{value}]")
    assert variant == refused.value.variant


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[station]\nname = Cabinet Dupont\n", 2),
        ("[station]\nname = “Cabinet”\n", 2),
        ("[tls]\nenabled = True\n", 2),
        ("[log]\nlevel = 'info'\nlevel = 'debug'\n", 3),
        ("[tls]\n[tls]\n", 2),
        ('[seals]\n# "C:\\list.xml"\ntrust_list = ["C:\\\\list.xml"]\n[station\n', 4),
        ("# a\u2028b\n[station\n", 2),
    ],
)
def test_what_is_no_toml_is_told_as_that_wherever_a_path_of_windows_stands(text: str, line: int) -> None:
    with pytest.raises(ConfigurationInvalid) as refused:
        parse(text)
    assert (refused.value.variant, refused.value.data["line"]) == ("syntax", line)
