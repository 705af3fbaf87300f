"""Findings as a terminal shows them, and the exit status that they call for."""

from collections.abc import Iterable, Sequence

import click

from vitale_protocol.diagnosis.check_results import Subject
from vitale_protocol.diagnosis.findings import Finding
from vitale_protocol.errors import by_reason
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.exit_status import DEVICE, DONE, OTHER, USAGE, exit_status
from vitale_reader.cli.frame.language import t

__all__ = ["print_finding", "print_findings", "status"]

#: The exit status of findings that are no errors of the catalogue.
_STATUS: dict[Subject, int] = {
    "configuration": USAGE,
    "usb": DEVICE,
    "galss": DEVICE,
    "driver": DEVICE,
    "reader": DEVICE,
    "serial": DEVICE,
    "camera": DEVICE,
    "card": DEVICE,
    "phone": DEVICE,
    "imager": DEVICE,
    "picture": DEVICE,
}


def status(findings: Iterable[Finding]) -> int:
    """The exit status: that of the first finding that is wrong."""
    first = next((finding for finding in findings if finding.state == "wrong"), None)
    if first is None:
        return DONE
    error = by_reason(first.id.partition(".")[0])
    return exit_status(error()) if error is not None else _STATUS.get(first.subject, OTHER)


def print_findings(findings: Sequence[Finding]) -> None:
    """Shows findings: those that are wrong first, with cause and remedy."""
    for finding in findings:
        print_finding(finding)
    wrong = sum(finding.state == "wrong" for finding in findings)
    click.echo(
        t(f"À corriger\N{NO-BREAK SPACE}: {wrong}.", f"To be corrected: {wrong}.")
        if wrong
        else t("Rien à corriger.", "Nothing to correct.")
    )


def print_finding(finding: Finding) -> None:
    """Shows one finding; of what is well its title alone."""
    sign = {
        "ok": click.style("✓", fg="green"),
        "note": click.style("·", dim=True),
        "wrong": click.style("✗", fg="red"),
    }[finding.state]
    title = f"{finding.title} ({finding.detail})" if finding.detail else finding.title
    # The sign takes the place of the first column; the codes of its colour have no width.
    click.echo(sign + output.wrapped(output.escaped(title), "  ")[1:])
    if finding.state == "ok":
        return
    for line in (finding.cause, *_where(finding)):
        if line:
            click.echo(output.wrapped(output.escaped(line), "    "))
    if finding.remedy:
        click.echo(output.wrapped(f"→ {finding.remedy}", "    ", "      "))


def _where(finding: Finding) -> Iterable[str]:
    """The place of a mistake in the configuration, and who holds what is taken."""
    if finding.subject == "configuration":
        yield from output.mistake(finding.data)
    if holder := finding.data.get("holder"):
        yield t(f"Occupé par {holder}", f"Held by {holder}")
