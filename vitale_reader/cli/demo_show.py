"""What the demonstration prints: its setting, each card as it is read, the decoded token, and what it all proves."""

import base64
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.json import JSON
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vitale_reader.cli import output
from vitale_reader.cli.describe import medium_name, origin_name, person, proof_name
from vitale_reader.cli.output import warning_text
from vitale_reader.cli.text import t

if TYPE_CHECKING:
    from vitale_reader.cli.demo_play import Result
    from vitale_reader.cli.stage import Stage

__all__ = ["as_json", "closing", "opening", "result"]

# Where nobody looks (a log, a pipe), rich assumes 80 columns, which would break the tables.
LEAST_WIDTH = 100


def as_json(scenery: "Stage", results: "Sequence[Result]") -> None:
    """Everything, as one document."""
    output.print_json({"driver": scenery.driver, "why_not_pcsc": scenery.why or None, "results": results})


def opening(scenery: "Stage") -> None:
    """The setting."""
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold")
    if scenery.driver == "pcsc":
        real = t(
            "un vrai pcscd, lancé à part, avec un lecteur virtuel ; la carte est un programme",
            "a real pcscd, started apart, with a virtual reader; the card is a program",
        )
        lines.add_row("PC/SC", real)
    else:
        without = t("sans pcscd ni vpcd : pilote « simulated-card »", "without pcscd or vpcd: driver “simulated-card”")
        lines.add_row("PC/SC", f"{without} ({scenery.why})" if scenery.why else without)
    lines.add_row(t("Service", "Daemon"), f"{scenery.endpoints.version}, mode simulated, pid {scenery.endpoints.pid}")
    lines.add_row("unix", str(scenery.endpoints.unix))
    if scenery.endpoints.tls is not None:
        tls = scenery.endpoints.tls
        pinned = t("certificat client, service épinglé", "client certificate, daemon pinned")
        lines.add_row("TLS 1.3", f"{tls.host}:{tls.port}, {pinned} {tls.sha256[:16]}…")
    title = t(
        "vitale-reader — une carte Vitale devient un jeton signé",
        "vitale-reader — a carte Vitale becomes a signed token",
    )
    _console().print(Panel(lines, title=title, title_align="left", border_style="cyan"))


def result(one: "Result") -> None:
    """A card that was read."""
    claims = one.claims
    people = claims.record.beneficiaires or ()
    holder = people[claims.record.porteur] if claims.record.porteur is not None else None
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold", no_wrap=True)
    lines.add_column()
    lines.add_row(
        t("Porteur", "Holder"),
        Text(f"{person(holder) if holder else '—'}  ({t('inventé', 'invented')})", style="green"),
    )
    for someone in people:
        if someone is not holder:
            lines.add_row(t("Ayant droit", "Dependant"), Text(person(someone)))
    lines.add_row(t("Preuve", "Proof"), Text(proof_name(claims)))
    lines.add_row(t("Origine", "Origin"), Text(origin_name(claims.origin), style="yellow"))
    for reason in claims.warnings:
        lines.add_row(t("Attention", "Warning"), Text(warning_text(reason), style="yellow"))
    lines.add_row(t("Jeton", "Token"), _verdicts(one))
    lines.add_row(t("Temps", "Times"), _times(one))
    title = f"{medium_name(claims.medium)} « {one.image} » → {one.transport}"
    _console().print(Panel(lines, title=title, title_align="left", border_style="green"))


def closing(results: "Sequence[Result]") -> None:
    """The first token decoded, and the table of all."""
    console = _console()
    first = results[0]
    decoded = Group(
        Text(t("en-tête", "header"), style="dim"),
        JSON(json.dumps(_part(first.token, 0), ensure_ascii=False), indent=2),
        Text(t("contenu", "claims"), style="dim"),
        JSON(json.dumps(_part(first.token, 1), ensure_ascii=False), indent=2),
    )
    title = t("Le premier jeton, décodé", "The first token, decoded")
    console.print(Panel(decoded, title=title, title_align="left", border_style="blue"))
    console.print(_summary(results))
    console.print(
        t(
            "Tout est simulé, et marqué comme tel du lecteur au jeton ; un service en production refuse ces cartes.",
            "All of it is simulated, and marked so from reader to token; a daemon in production refuses these cards.",
        ),
        style="yellow",
    )
    console.print(
        t("Ensuite :", "Next:"), "vitale-reader serve", "·", "vitale-reader read --json", "·", "examples/", style="dim"
    )


def _summary(results: "Sequence[Result]") -> Table:
    table = Table(box=box.ROUNDED, header_style="bold")
    for column in (
        t("Carte", "Card"),
        t("Porteur", "Holder"),
        "Transport",
        t("Preuve", "Proof"),
        t("Origine", "Origin"),
    ):
        table.add_column(column)
    table.add_column(t("Jeton", "Token"), justify="center")
    table.add_column(t("présente → jeton, p50", "present → token, p50"), justify="right")
    for one in results:
        people, index = one.claims.record.beneficiaires or (), one.claims.record.porteur
        name = person(people[index]).split(",")[0] if index is not None else "—"
        accepted = one.checks.get("token") == "accepted"
        table.add_row(
            one.image,
            Text(name),
            one.transport,
            one.claims.proof.method,
            one.claims.origin,
            Text("✓", style="green") if accepted else Text("✗", style="red"),
            _milliseconds(one.again_ms),
        )
    return table


def _verdicts(one: "Result") -> Text:
    names = {
        "used_again": t("déjà utilisé", "used again"),
        "altered": t("altéré", "altered"),
        "other_audience": t("autre destinataire", "other audience"),
        "other_nonce": t("autre nonce", "other nonce"),
        "next_day": t("le lendemain", "next day"),
    }
    said = Text()
    if one.checks.get("token") == "accepted":
        said.append(t("ES256 vérifié ✓", "ES256 verified ✓"), style="green")
    else:
        said.append(t("REFUSÉ ✗", "REFUSED ✗"), style="bold red")
    refused = [name for key, name in names.items() if one.checks.get(key) != "accepted"]
    wrong = [name for key, name in names.items() if one.checks.get(key) == "accepted"]
    said.append(f" ; {t('refusé si', 'refused if')} {', '.join(refused)}" if refused else "")
    said.append(f" ; {t('ACCEPTÉ À TORT', 'WRONGLY ACCEPTED')} : {', '.join(wrong)}" if wrong else "", style="bold red")
    return said


def _times(one: "Result") -> str:
    again = t(
        f"carte présente → jeton {_milliseconds(one.again_ms)}", f"card present → token {_milliseconds(one.again_ms)}"
    )
    again += f" ({t('médiane de', 'median of')} {one.again})"
    if one.detected_ms is None:
        return again
    first = t("carte détectée → premier jeton", "card detected → first token")
    return f"{first} {_milliseconds(one.detected_ms)} ; {again}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f} ms".replace(".", t(",", "."))


def _part(token: str, index: int) -> object:
    part = token.split(".")[index]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _console() -> Console:
    console = output.console()
    if not console.is_terminal:
        console.width = max(console.width, LEAST_WIDTH)
    return console
