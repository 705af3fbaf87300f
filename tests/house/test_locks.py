"""The versions that set-up installs: all that setup.cfg asks for, within its ranges, nothing without a hash."""

import configparser
import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PURPOSES = ("build", "run", "test", "lint", "fuzz", "docs")
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
SYSTEMS = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}


def environments() -> Iterator[dict[str, str]]:
    for python in PYTHONS:
        for platform, system in SYSTEMS.items():
            yield {
                "python_version": python,
                "python_full_version": f"{python}.5",
                "sys_platform": platform,
                "platform_system": system,
                "os_name": "nt" if platform == "win32" else "posix",
                "platform_python_implementation": "CPython",
                "implementation_name": "cpython",
            }


@pytest.fixture
def lock(root: Path) -> SimpleNamespace:
    return SimpleNamespace(**runpy.run_path(str(root / ".ci" / "lock")))


def pinned(lock: SimpleNamespace, purpose: str, environment: dict[str, str]) -> dict[str, str]:
    """The version of each package that a purpose gets somewhere."""
    found: dict[str, str] = {}
    for layer in lock.LAYERS.get(purpose, (purpose,)):
        for entry in lock.entries((lock.LOCKS / f"{layer}.txt").read_text("utf-8")):
            requirement = Requirement(entry.partition("\\")[0])
            if requirement.marker is None or requirement.marker.evaluate(environment):
                (version,) = requirement.specifier
                assert version.operator == "=="
                assert found.setdefault(canonicalize_name(requirement.name), version.version) == version.version
    return found


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_locks_have_what_setup_cfg_asks_for(lock: SimpleNamespace, purpose: str) -> None:
    """Where this fails, `make lock` is to be run."""
    wanted = [Requirement(line) for line in lock.requirements(purpose)]
    for environment in environments():
        versions = pinned(lock, purpose, environment)
        for one in wanted:
            if one.marker is None or one.marker.evaluate(environment):
                assert one.specifier.contains(versions.get(canonicalize_name(one.name), "0")), f"{one}: {environment}"


def test_every_requirement_of_setup_cfg_has_a_purpose(lock: SimpleNamespace, root: Path) -> None:
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg", "utf-8")
    own = re.compile(rf"{settings['metadata']['name']}\b")
    every = settings["options"]["install_requires"] + "".join(settings["options.extras_require"].values())
    lines = {line.strip() for line in every.splitlines() if line.strip() and not own.match(line.strip())}

    assert lines == {line for purpose in lock.EXTRAS for line in lock.requirements(purpose)}


def test_extras_of_our_own_are_followed(lock: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "setup.cfg").write_text(
        "[metadata]\nname = vitale-reader\n[options]\ninstall_requires =\n    a\n[options.extras_require]\n"
        "one =\n    b >=1\n    a\ntwo =\n    c\nall =\n    vitale-reader[one, two]\ntest =\n    # why\n    d\n",
        encoding="utf-8",
    )

    assert lock.requirements("run", tmp_path) == ["a", "b >=1", "c"]
    assert lock.requirements("test", tmp_path) == ["a", "b >=1", "c", "d"]
    assert lock.requirements("docs", tmp_path) == ["a", "b >=1", "c"]


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_locks_have_a_hash_for_everything_and_name_no_place(lock: SimpleNamespace, purpose: str) -> None:
    text = (lock.LOCKS / f"{purpose}.txt").read_text("utf-8")

    assert text.startswith(lock.HEAD)
    assert lock.HEAD + "".join(lock.entries(text)) == text
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in lock.entries(text))
    assert "://" not in text
    assert "--index" not in text


def test_to_run_it_no_tool_of_the_tests_is_installed(lock: SimpleNamespace) -> None:
    for environment in environments():
        assert {"pytest", "mypy", "sphinx"}.isdisjoint(pinned(lock, "run", environment))


def test_programs_of_node_are_locked_by_their_hashes(root: Path) -> None:
    wanted = json.loads((root / ".ci" / "node" / "package.json").read_text("utf-8"))["devDependencies"]
    locked = json.loads((root / ".ci" / "node" / "package-lock.json").read_text("utf-8"))["packages"]
    assert locked.pop("")["devDependencies"] == wanted
    assert [] == [name for name, each in locked.items() if not each["integrity"].startswith("sha512-")]
    assert [] == [name for name, each in locked.items() if each.get("hasInstallScript") or "resolved" in each]
    for name, version in wanted.items():
        assert version == locked[f"node_modules/{name}"]["version"]
