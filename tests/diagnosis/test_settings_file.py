"""Settings changed in a text: all else in it stays, and what comes of it is TOML."""

import contextlib
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.posix import AS_ROOT, NOBODY, give_to
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon import config_file
from vitale_reader.daemon.config import Config, DriversSection, load, parse
from vitale_reader.diagnosis import settings_file
from vitale_reader.diagnosis.settings_file import as_toml, replace, with_setting
from vitale_reader.home import Home

TEXT = """\
# At the top.
audit_days = 30  # a month

[station]
# What programs see.
name = "Cabinet"

[drivers]
enabled = [
    "pcsc",  # cards
]
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("audit_days", 60),
        ("store", "postgresql://host/base"),
        ("station.name", "Officine « du Port »"),
        ("tls.port", 0),
        ("drivers.enabled", ["pcsc", "camera"]),
        ("drivers.options.scanner.framing", "line"),
    ],
)
def test_one_setting_changes_and_no_comment_goes(key: str, value: object) -> None:
    made = with_setting(TEXT, key, value)
    before, after = tomllib.loads(TEXT), tomllib.loads(made)
    place: Any = after
    *tables, name = key.split(".")
    for table in tables:
        place = place[table]
    assert value == place[name]
    for comment in ("# At the top.", "# a month", "# What programs see."):
        assert comment in made
    for top, former in before.items():
        if top != key.split(".", maxsplit=1)[0]:
            assert former == after[top]


def test_what_is_there_is_not_written_anew() -> None:
    assert TEXT == with_setting(TEXT, "audit_days", 30)
    assert 'name = "x"\n' in with_setting("", "station.name", "x")


@pytest.mark.parametrize("key", ["station.name.first", "audit_days.x", ""])
def test_a_key_within_a_value_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationInvalid):
        parse(with_setting(TEXT, key, 1))


def test_of_two_changes_at_once_neither_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home.under(tmp_path)
    replace(home.config, "[drivers]\nenabled = []\n", Config())
    met = threading.Barrier(2)
    text_of = settings_file.current

    def current(file: Path) -> str:
        text = text_of(file)
        with contextlib.suppress(threading.BrokenBarrierError):
            met.wait(0.2)  # both have read the same text, where nothing keeps them apart
        return text

    monkeypatch.setattr(settings_file, "current", current)
    with ThreadPoolExecutor(2) as pool:
        told = [*pool.map(partial(settings_file.change, home), ("station.name", "audit_days"), ("Officine", "31"))]
    assert [True, True] == [each.differs for each in told]
    config = load(home.config)
    assert ("Officine", 31) == (config.station.name, config.audit_days)


def test_whoever_changes_it_for_ever_keeps_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "PATIENCE", 0.0)
    home = Home.under(tmp_path)
    with config_file.reserved(home.config), pytest.raises(ConfigurationInvalid) as refused:
        settings_file.change(home, "audit_days", "31")
    assert "changing" == refused.value.variant
    assert settings_file.change(home, "audit_days", "31").differs
    assert ["config.toml"] == [each.name for each in tmp_path.iterdir()]


@given(st.text(st.characters(blacklist_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=100))
def test_any_name_can_be_set(name: str) -> None:
    assert name == parse(with_setting(TEXT, "station.name", name)).station.name


def test_words_of_the_command_line() -> None:
    told = [as_toml(word) for word in ("true", "7816", '["a", "b"]', "a name", "", "1\nb = 2", "[[[")]
    assert [True, 7_816, ["a", "b"], "a name", "", "1\nb = 2", "[[["] == told


@pytest.mark.posix
def test_the_file_keeps_its_mode_until_there_are_secrets_in_it(tmp_path: Path) -> None:
    file = tmp_path / "real" / "config.toml"
    link = tmp_path / "config.toml"
    link.symlink_to(file)
    replace(link, "", Config())
    assert (0o600, True) == (file.stat().st_mode & 0o777, link.is_symlink())
    file.chmod(0o644)
    replace(link, "# changed\n", Config())
    assert (0o644, "# changed\n") == (file.stat().st_mode & 0o777, file.read_text("utf-8"))
    replace(link, "", Config(drivers=DriversSection(options={"pcsc": {"password": "x"}})))
    assert 0o600 == file.stat().st_mode & 0o777
    assert ["config.toml"] == [each.name for each in file.parent.iterdir()]


@AS_ROOT
@pytest.mark.parametrize("owner", [0, NOBODY])
def test_the_file_keeps_its_owner_and_its_group(tmp_path: Path, owner: int) -> None:
    file = tmp_path / "config.toml"
    replace(file, "", Config())
    give_to(owner, file, group=NOBODY)
    file.chmod(0o640)
    replace(file, "# changed\n", Config())
    found = file.stat()
    assert (owner, NOBODY, 0o640) == (found.st_uid, found.st_gid, found.st_mode & 0o777)


@AS_ROOT
def test_what_root_writes_first_in_the_folder_of_another_is_theirs(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    give_to(NOBODY, home, group=NOBODY)
    file = home / ".config" / "vitale-reader" / "config.toml"
    replace(file, "", Config())
    found = [each.stat() for each in (file, file.parent, file.parent.parent)]
    assert [(NOBODY, NOBODY)] * 3 == [(each.st_uid, each.st_gid) for each in found]
    own = tmp_path / "own" / "config.toml"
    replace(own, "", Config())
    assert (0, 0) == (own.stat().st_uid, own.parent.stat().st_uid)


@pytest.mark.parametrize("mark", ["", "\n"])
@pytest.mark.parametrize(("key", "value"), [("station.mode", "test"), ("tls.port", 0), ("web.enabled", True)])
def test_lines_end_as_they_did(mark: str, key: str, value: object) -> None:
    text = "# A file of Windows.\n[station]\nname = 'a' # mine\n\n[tls]\nport = 1" + mark
    made = with_setting(text.replace("\n", "\r\n"), key, value)
    assert made.count("\n") == made.count("\r\n") > 0
    assert with_setting(text, key, value) == made.replace("\r\n", "\n")


def test_a_new_setting_stands_before_the_comments_on_what_follows() -> None:
    text = "[station]\nname = 'a' # mine\n\n# About TLS.\n[tls]\nport = 1\n# The end.\n"
    made = with_setting(with_setting(text, "station.mode", "test"), "tls.enabled", False)
    assert [
        "[station]",
        "name = 'a' # mine",
        'mode = "test"',
        "",
        "# About TLS.",
        "[tls]",
        "port = 1",
        "enabled = false",
        "# The end.",
    ] == made.splitlines()


LIST = """\
[drivers]
enabled = [ # all of them
    "pcsc",  # cards
    "nfc",  # phones
    # The one at the window.
    "camera",
] # and no other
"""


@pytest.mark.parametrize(
    ("wanted", "gone"),
    [
        (["pcsc", "camera"], {"# phones"}),
        (["nfc", "pcsc", "camera"], None),
        (["pcsc", "nfc", "camera", "scanner"], set[str]()),
        (["scanner"], None),
        ([], None),
        (["pcsc", "pcsc"], None),
    ],
)
def test_entries_of_a_list_keep_their_comments(wanted: list[str], gone: set[str] | None) -> None:
    made = with_setting(LIST, "drivers.enabled", wanted)
    assert wanted == tomllib.loads(made)["drivers"]["enabled"]
    if gone is not None:
        comments = {f"# {line.split('# ')[1]}" for line in LIST.splitlines() if "# " in line}
        assert gone == {comment for comment in comments if comment not in made}


@given(st.lists(st.sampled_from(["pcsc", "nfc", "camera", "scanner", "x"]), max_size=6))
def test_any_list_comes_of_any_other(wanted: list[str]) -> None:
    made = with_setting(LIST, "drivers.enabled", wanted)
    assert wanted == tomllib.loads(made)["drivers"]["enabled"]
    assert ["pcsc"] == tomllib.loads(with_setting(made, "drivers.enabled", ["pcsc"]))["drivers"]["enabled"]
