"""The documents say everything that the code has, nothing that it has not, and their examples hold."""

import datetime as dt
import inspect
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import pytest

import vitale_reader
from docs.generator import configuration, wire
from docs.generator.cli import commands
from docs.generator.cli import root as command_line
from docs.generator.markdown import anchor
from docs.generator.meanings import MEANINGS
from vitale_protocol import catalogue
from vitale_protocol.errors import ConfigurationInvalid, concrete_errors
from vitale_protocol.events import EVENTS
from vitale_protocol.media.apcv_profile import parse_profile
from vitale_protocol.methods import METHODS
from vitale_reader.cli.frame.exit_status import DONE, INTERRUPTED, exit_status
from vitale_reader.daemon import config

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *ROOT.joinpath("docs").rglob("*.md"), *ROOT.joinpath("examples").glob("*.md")]
    if "_build" not in page.relative_to(ROOT).parts
)
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$", flags=re.MULTILINE | re.DOTALL)


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, without the indentation of a list that they stand in."""
    whole = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(whole):
        text = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        yield Block(page, whole.count("\n", 0, match.start()) + 1, match["language"], text)


ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]


def of_language(*languages: str) -> pytest.MarkDecorator:
    found = [block for block in ALL_BLOCKS if block.language in languages]
    assert found, languages
    return pytest.mark.parametrize("block", found, ids=[f"{name(block.page)}:{block.line}" for block in found])


def reference(page: str) -> str:
    return (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")


class TestEverythingIsDocumented:
    """Independently of the generator: a thing that it forgot would be missing in a page that is not stale."""

    def test_public_names_of_the_sdk(self) -> None:
        text = reference("sdk.md")
        modules = {"aio", "errors"}
        missing = [
            name for name in {*vitale_reader.__all__} - modules if f"`{name}`" not in text and f"## {name}" not in text
        ]
        assert [] == missing
        owners = (vitale_reader.Connection, vitale_reader.Presentation, vitale_reader.Lease, vitale_reader.Pairing)
        methods = {name for owner in owners for name, _ in inspect.getmembers(owner, callable) if name[0] != "_"}
        assert {"read", "reading", "lease", "acknowledge", "transmit", "save"} <= methods
        assert methods <= set(re.findall(r"^### `(\w+)`$", text, flags=re.MULTILINE))

    def test_the_generated_pages_are_what_the_code_says(self) -> None:
        # A process of its own: the texts of the command line are made once, in one language.
        command = [sys.executable, "-m", "docs.generator", "--check"]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)

        assert (0, "") == (answer.returncode, answer.stderr)

    def test_each_error(self) -> None:
        page = reference("errors.md")
        for error in concrete_errors():
            assert f"### `{error.reason}`" in page
            assert f"`{error.__name__}`" in page

    def test_each_warning(self) -> None:
        page = reference("errors.md")
        for reason in catalogue.reasons():
            assert f"### `{reason}`" in page

    def test_each_method_with_each_member(self) -> None:
        page = reference("wire.md")
        for method in METHODS.values():
            section = page.split(f"### `{method.name}`\n")[1].split("\n### ")[0]
            for struct in (method.params, method.result):
                for member in msgspec.structs.fields(struct):
                    assert f"| `{member.name}` |" in section, f"{method.name}: {member.name}"

    def test_each_member_of_a_message_has_a_meaning_and_no_other(self) -> None:
        messages = [struct for method in METHODS.values() for struct in (method.params, method.result)]
        known: set[str] = set()
        for struct in {*messages, *EVENTS.values(), *wire.structs()}:
            for member in msgspec.structs.fields(struct):
                own = f"{struct.__name__}.{member.name}"
                assert own in MEANINGS or member.name in MEANINGS, f"docs/generator/meanings.py: {own}"
                known.add(own if own in MEANINGS else member.name)

        assert set() == set(MEANINGS) - known

    def test_each_event(self) -> None:
        page = reference("wire.md")
        for event in EVENTS:
            assert f"### `{event}`" in page

    def test_each_setting(self) -> None:
        page = reference("configuration.md")
        found = [setting for setting, _ in configuration.settings(config.Config)]
        assert "tokens.lifetime" in found
        for setting in found:
            assert f"| `{setting.rpartition('.')[2]}` |" in page

    def test_each_option_of_a_driver(self) -> None:
        page = reference("configuration.md")
        for name, struct in configuration.DRIVERS.items():
            section = page.split(f"## `[drivers.options.{name}]`\n")[1].split("\n## ")[0]
            for member in msgspec.structs.fields(struct):
                assert f"| `{member.name}` |" in section, f"{name}: {member.name}"

    def test_each_exit_status(self) -> None:
        section = reference("cli.md").split("\n## Exit status\n")[1].split("\n## ")[0]
        statuses = {exit_status(error()) for error in concrete_errors()} | {DONE, INTERRUPTED}

        assert sorted(statuses) == sorted(map(int, re.findall(r"^\| (\d+) \|", section, flags=re.MULTILINE)))

    def test_each_command_and_option(self) -> None:
        page = reference("cli.md")
        for command, definition in commands(command_line()):
            section = page.split(f"## `{command}`\n")[1].split("\n## ")[0]
            for parameter in definition.params:
                if isinstance(parameter, click.Option) and not parameter.hidden:
                    assert parameter.opts[0] in section, f"{command}: {parameter.opts[0]}"


class TestNothingIsDocumentedThatIsNot:
    """What pages say of commands, settings and messages is what there is."""

    @of_language("sh", "console")
    def test_commands_exist(self, block: Block) -> None:
        known = dict(commands(command_line()))
        for line in block.text.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] != ["vitale-reader"]:
                continue
            command, rest = "vitale-reader", words[1:]
            while rest and f"{command} {rest[0]}" in known:
                command, rest = f"{command} {rest[0]}", rest[1:]
            definition = known[command]
            assert not (isinstance(definition, click.Group) and rest and not rest[0].startswith("-")), line
            options = {option for parameter in definition.params for option in parameter.opts} | {"--help"}
            assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= options, line

    @of_language("toml")
    def test_settings_exist(self, block: Block) -> None:
        if "aids" in tomllib.loads(block.text):
            # A profile, as docs/how-to/write-an-apcv-profile.md shows one.
            assert parse_profile(block.text, source=block.page.name).commands
            return
        if "build-system" in tomllib.loads(block.text):
            return  # a package of somebody else, which tests/house/test_written_driver.py installs
        settings = config.parse(block.text)

        assert settings != config.Config()

    @of_language("json")
    def test_json_is_json(self, block: Block) -> None:
        decoder = json.JSONDecoder()
        rest = block.text.strip()
        while rest:
            _, end = decoder.raw_decode(rest)
            rest = rest[end:].lstrip()

    @of_language("python")
    def test_python_is_python(self, block: Block) -> None:
        compile(block.text, f"{name(block.page)}:{block.line}", "exec")

    def test_targets_of_make_exist(self) -> None:
        targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
        for page in PAGES:
            said = re.findall(r"(?:^|`)make (\w+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert set(said) <= targets, page


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, fragment = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if fragment:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert fragment in {anchor(heading) for heading in headings}, target


# A comment or a docstring that cites a page: docs/reference/wire.md, "Limits".
CITATION = re.compile(r"(docs/[\w./-]+\.md)(?:, \"([^\"\n]+)\")?")


def test_pages_that_the_code_cites_have_what_is_cited(tracked: list[Path]) -> None:
    cited = 0
    for file in tracked:
        if file.suffix not in {".java", ".js", ".mjs", ".py"} or file.is_relative_to(ROOT / "tests" / "house"):
            continue
        for path, heading in CITATION.findall(file.read_text(encoding="utf-8")):
            page = ROOT / path
            assert page.exists(), f"{name(file)}: {path}"
            if heading:
                cited += 1
                said = [
                    found.strip("`")
                    for found in re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
                ]
                assert heading in said, f"{name(file)}: {path} has no “{heading}”"

    assert cited > 5


def test_decisions_are_numbered_and_listed() -> None:
    folder = ROOT / "docs" / "adr"
    pages = sorted(page for page in folder.glob("*.md") if page.name != "index.md")
    index = (folder / "index.md").read_text(encoding="utf-8")

    assert [f"{number:04}" for number in range(1, len(pages) + 1)] == [page.name[:4] for page in pages]
    for page in pages:
        assert f"\n{page.stem}\n" in index
        assert page.read_text(encoding="utf-8").startswith(f"# {page.name[:4]} · ")


# A decision that no longer holds names the one that took its place.
STATUS = re.compile(r"accepted|proposed|superseded by (\d{4})")


def decision(page: Path) -> tuple[str, str, str]:
    """The title, the date and the status of a decision, from the top of its page."""
    top = re.match(r"# \d{4} · (.+)\n\nDate: (\d{4}-\d{2}-\d{2})\\\nStatus: (.+)\n\n", page.read_text(encoding="utf-8"))
    assert top is not None, f"{page.name}: the title, then the lines `Date: YYYY-MM-DD\\` and `Status: …`"
    return top[1], top[2], top[3]


def test_each_decision_has_a_date_and_a_status_and_the_index_shows_them() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "index.md").read_text(encoding="utf-8")
    expected: list[str] = []
    for page in sorted(folder.glob("[0-9]*.md")):
        title, date, status = decision(page)
        dt.date.fromisoformat(date)
        said = STATUS.fullmatch(status)
        assert said is not None, f"{page.name}: {status}"
        assert said[1] is None or list(folder.glob(f"{said[1]}-*.md")), f"{page.name}: {status}"
        expected.append(f"| [{page.name[:4]}]({page.name}) | {title} | {date} | {status} |")

    assert expected == re.findall(r"^\| \[\d{4}\].*$", index, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "top",
    ["# 0001 · A\n\n**Situation.**", "# 0001 · A\n\nDate: 2026-11-22\\\n\n**", "# 0001 · A\n\nStatus: accepted\n\n"],
)
def test_a_decision_without_a_date_or_a_status_would_be_found(top: str, tmp_path: Path) -> None:
    page = tmp_path / "0001-a.md"
    page.write_text(top, encoding="utf-8")

    with pytest.raises(AssertionError, match="Status"):
        decision(page)


def test_the_glossary_is_in_order() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| \*\*(.*?)\*\* \|", text, flags=re.MULTILINE)

    assert len(words) > 40
    plain = [word.casefold().translate(str.maketrans("éèê", "eee")) for word in words]
    assert sorted(plain) == plain


def test_a_setting_that_does_not_exist_would_be_found() -> None:
    with pytest.raises(ConfigurationInvalid):
        config.parse("[station]\nnom = 'Comptoir 1'\n")
