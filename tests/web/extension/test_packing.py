"""Archives of the extension: the same bytes each time, the ids that the desk knows, no right that is not needed."""

import base64
import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from vitale_protocol.web.extensions import CHROMIUM_ID, FIREFOX_ID, HOST_NAME, Family
from vitale_reader.version import VERSION
from vitale_reader.web.extension import packing
from vitale_reader.web.extension.packing import FAMILIES, SOURCE, archive, files, main

EVERY = pytest.mark.parametrize("family", FAMILIES)


def of(family: Family) -> dict[str, Any]:
    return dict(json.loads(files(family)["manifest.json"]))


def test_the_same_source_makes_the_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "one")])
    for path in SOURCE.rglob("*"):
        os.utime(path)
    main([str(tmp_path / "two")])
    names = [f"vitale-reader-{family}-{VERSION}.zip" for family in FAMILIES]
    assert names == sorted(each.name for each in (tmp_path / "one").iterdir())
    assert str(tmp_path / "two" / names[1]) == capsys.readouterr().out.splitlines()[-1]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


@EVERY
def test_an_archive_has_the_files_and_nothing_of_this_machine(family: Family) -> None:
    with zipfile.ZipFile(io.BytesIO(archive(family))) as read:
        assert sorted(files(family)) == read.namelist()
        assert {(1980, 1, 1, 0, 0, 0)} == {each.date_time for each in read.infolist()}
        assert {0o644} == {each.external_attr >> 16 & 0o777 for each in read.infolist()}
        assert files(family) == {name: read.read(name) for name in read.namelist()}


def test_the_ids_are_those_that_the_desk_knows() -> None:
    public = base64.b64decode(of("chromium")["key"], validate=True)
    letters = (chr(ord("a") + int(digit, 16)) for digit in hashlib.sha256(public).hexdigest()[:32])
    assert CHROMIUM_ID == "".join(letters)
    assert FIREFOX_ID == of("firefox")["browser_specific_settings"]["gecko"]["id"]
    assert f'"{HOST_NAME}"' in files("chromium")["background.js"].decode()


@EVERY
def test_the_extension_asks_for_no_site_before_a_click(family: Family) -> None:
    manifest = of(family)
    assert ["activeTab", "nativeMessaging", "scripting"] == manifest["permissions"]
    assert ["https://*/*"] == manifest["optional_host_permissions"]
    absent = {"host_permissions", "content_scripts", "web_accessible_resources", "externally_connectable"}
    assert set() == absent & set(manifest)
    assert "default-src 'none'" in manifest["content_security_policy"]["extension_pages"]
    scripts = [content.decode() for name, content in files(family).items() if name.endswith(".js")]
    assert [] == [each for each in scripts if any(word in each for word in ("eval(", "fetch(", "import(", "innerHTML"))]


def test_a_version_is_told_in_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "VERSION", "1.2.0rc1")
    assert "1.2.0" == of("chromium")["version"]


def test_each_language_says_the_same() -> None:
    french, english = (
        json.loads((SOURCE / "_locales" / language / "messages.json").read_text("utf-8")) for language in ("fr", "en")
    )
    assert french.keys() == english.keys()
