"""What a person reads of ``doctor``: what is wrong with its cause, its place and its remedy; the rest in one line."""

import pytest

from vitale_protocol.diagnosis.findings import Finding
from vitale_reader.cli.doctor.findings_output import print_findings, status

WELL = Finding(id="clock_right", subject="clock", state="ok", title="The clock is right", cause="not shown")
NOTE = Finding(id="disk_low", subject="folder", state="note", title="The disk is filling", remedy="Make room.")
TAKEN = Finding(
    id="reader_busy",
    subject="reader",
    state="wrong",
    title="Reader taken",
    cause="Another program has it.",
    remedy="Close it.",
    detail="COM3",
    data={"holder": "galss"},
)
MISTAKEN = Finding(
    id="configuration_invalid",
    subject="configuration",
    state="wrong",
    title="Configuration",
    data={"path": "tls.prt", "nearest": "tls.port"},
)


def test_what_is_wrong_is_shown_with_its_cause_its_holder_and_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([TAKEN, MISTAKEN, NOTE, WELL])
    said = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert ["✗ Reader taken (COM3)", "Another program has it.", "Held by galss", "→ Close it."] == said[:4]
    assert "✗ Configuration" == said[4]
    assert any("tls.prt" in line for line in said)
    assert any("tls.port" in line for line in said)
    assert ["· The disk is filling", "→ Make room.", "✓ The clock is right", "To be corrected: 2."] == said[-4:]


def test_a_desk_on_which_nothing_is_wrong_is_told_so(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings([WELL])
    assert "Nothing to correct." == capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(("found", "expected"), [([WELL, NOTE], 0), ([NOTE, TAKEN], 6), ([MISTAKEN, TAKEN], 2)])
def test_the_first_that_is_wrong_chooses_the_exit_status(found: list[Finding], expected: int) -> None:
    assert expected == status(found)
