"""Output of the demonstration: its setting, each medium as it is read, a decoded token, and the conclusions."""

import base64
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group
from rich.json import JSON
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.describe import local_time, medium_name, origin_name, person, proof_name, rights_lines
from vitale_reader.cli.frame.fitting import fits, longest_words, records
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.output import warning_text

if TYPE_CHECKING:
    from vitale_reader.cli.demo.code_devices import CodeDevices
    from vitale_reader.cli.demo.environment import DemoEnvironment
    from vitale_reader.cli.demo.phone_devices import PhoneDevices
    from vitale_reader.cli.demo.play import SceneResult

__all__ = ["as_json", "closing", "opening", "program", "result", "summary"]

# Without a terminal (a log, a pipe), rich assumes 80 columns, which would break the tables.
LEAST_WIDTH = 100


def as_json(environment: "DemoEnvironment", results: "Sequence[SceneResult]") -> None:
    """Prints everything, as one document."""
    document = {
        "driver": environment.driver,
        "why_not_pcsc": environment.why or None,
        "why_not_nfc": (environment.phones.why or None) if environment.phones else None,
        "why_not_camera": (environment.codes.why_camera or None) if environment.codes else None,
        "why_not_imager": (environment.codes.why_imager or None) if environment.codes else None,
        "results": results,
    }
    output.print_json(document)


def opening(environment: "DemoEnvironment") -> None:
    """Prints the setting of the demonstration."""
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="bold")
    if environment.driver == "pcsc":
        real = t(
            "un vrai pcscd, lancé à part, avec un lecteur virtuel ; la carte est un programme",
            "a real pcscd, started apart, with a virtual reader; the card is a program",
        )
        lines.add_row("PC/SC", real)
    else:
        without = t("sans pcscd : pilote « simulated-card »", "without pcscd: driver “simulated-card”")
        lines.add_row("PC/SC", f"{without} ({environment.why})" if environment.why else without)
    if environment.phones is not None:
        lines.add_row("NFC", _nfc(environment.phones))
    if environment.codes is not None:
        lines.add_row(t("Caméra", "Camera"), _camera(environment.codes))
        lines.add_row(t("Douchette", "Imager"), _imager(environment.codes))
    if environment.phones is not None:
        service = t("un service apCV simulé, en SOAP 1.2", "a simulated apCV service, in SOAP 1.2")
        lines.add_row("apCV", f"{service}, {environment.phones.service.url}")
    lines.add_row(
        t("Service", "Daemon"), f"{environment.endpoints.version}, mode simulated, pid {environment.endpoints.pid}"
    )
    if environment.endpoints.unix is not None:
        lines.add_row("unix", environment.endpoints.unix)
    else:
        none = t(
            "aucun ici : l’utilisateur du service passe par TLS aussi",
            "none here: the daemon's own user comes over TLS, too",
        )
        lines.add_row("unix", none)
    if environment.endpoints.tls is not None:
        tls = environment.endpoints.tls
        pinned = t("certificat client, service épinglé", "client certificate, daemon pinned")
        lines.add_row("TLS 1.3", f"{tls.host}:{tls.port}, {pinned} {tls.sha256[:16]}…")
    title = t(
        "vitale-reader — une carte Vitale, un téléphone, un code QR : un jeton signé",
        "vitale-reader — a carte Vitale, a phone, a QR code: a signed token",
    )
    _console().print(Panel(lines, title=title, title_align="left", border_style="cyan"))


def _nfc(phones: "PhoneDevices") -> str:
    if phones.reader is None:
        none = t("pas de lecteur NFC simulé ici, donc pas de téléphone", "no simulated NFC reader here, hence no phone")
        return f"{none} ({phones.why})"
    real = t(
        "de vrais nfcpy et pyserial ; la puce PN532 est un programme, sur",
        "real nfcpy and pyserial; the PN532 chip is a program, on",
    )
    return f"{real} {phones.reader.path}"


def _camera(codes: "CodeDevices") -> str:
    if codes.camera is None:
        return f"{t('pas de webcam simulée ici', 'no simulated webcam here')} ({codes.why_camera})"
    real = t(
        "de vrais OpenCV, FFmpeg et zxing-cpp ; la webcam est un programme,",
        "real OpenCV, FFmpeg and zxing-cpp; the webcam is a program,",
    )
    return f"{real} {codes.camera.url}"


def _imager(codes: "CodeDevices") -> str:
    if codes.imager is None:
        return f"{t('pas de douchette simulée ici', 'no simulated imager here')} ({codes.why_imager})"
    real = t("un vrai pyserial ; la douchette est un programme, sur", "real pyserial; the imager is a program, on")
    return f"{real} {codes.imager.path}"


def result(one: "SceneResult") -> None:
    """A medium that was read."""
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
    if claims.delegate is not None:
        lines.add_row(t("Présentée par", "Presented by"), Text(f"{claims.delegate}  ({t('inventé', 'invented')})"))
    for name, value in rights_lines(claims.record):
        lines.add_row(name, Text(value))
    if claims.context is not None:
        ends = local_time(datetime.fromisoformat(claims.context.date_fin_validite).timestamp())
        until = t("ouvert, valable jusqu’au", "open, valid until")
        lines.add_row(t("Contexte apCV", "apCV context"), Text(f"{until} {ends}"))
    lines.add_row(t("Preuve", "Proof"), Text(proof_name(claims)))
    lines.add_row(t("Origine", "Origin"), Text(origin_name(claims.origin), style="yellow"))
    for reason in claims.warnings:
        lines.add_row(t("Attention", "Warning"), Text(warning_text(reason), style="yellow"))
    lines.add_row(t("Jeton", "Token"), _verdicts(one))
    if "same_string" in one.checks:
        lines.add_row(t("Rejeu", "Replay"), _replay(one))
    lines.add_row(t("Temps", "Times"), _times(one))
    whose = t(f"« {one.name} »", f"“{one.name}”")
    title = f"{medium_name(claims.medium)} {whose} → {claims.reader.driver} → {one.transport}"
    _console().print(Panel(lines, title=title, title_align="left", border_style="green"))


def closing(results: "Sequence[SceneResult]") -> None:
    """A token decoded, that of a QR code where there is one, and the table of all."""
    console = _console()
    shown = next((one for one in results if one.place == "camera"), results[-1])
    decoded = Group(
        Text(t("en-tête", "header"), style="dim"),
        JSON(json.dumps(_part(shown.token, 0), ensure_ascii=False), indent=2),
        Text(t("contenu", "claims"), style="dim"),
        JSON(json.dumps(_part(shown.token, 1), ensure_ascii=False), indent=2),
    )
    of = f"{_medium(shown)}, {shown.claims.reader.driver}"
    title = t(f"Le jeton de « {shown.name} » ({of}), décodé", f"The token of “{shown.name}” ({of}), decoded")
    console.print(Panel(decoded, title=title, title_align="left", border_style="blue"))
    console.print(summary(results, console.width))
    console.print(
        t(
            "Tout est simulé, et marqué comme tel du lecteur au jeton ; une station en production le refuse.",
            "All of it is simulated, and marked so from reader to token; a station in production refuses it.",
        ),
        style="yellow",
    )
    steps = ("docs/tutorial/first-token.md", f"{program()} demo --dashboard", f"{program()} doctor")
    console.print(t("Ensuite :", "Next:"), " · ".join(steps), style="dim")


def program() -> str:
    """Returns the command that runs this program: in a checkout it is not on the path."""
    called = sys.argv[0]
    return "vitale-reader" if shutil.which("vitale-reader") or "vitale-reader" not in called else called


def _medium(one: "SceneResult") -> str:
    names = {
        "vitale-card": t("carte Vitale", "carte Vitale"),
        "apcv-nfc": t("téléphone", "phone"),
        "apcv-qr": "QR code",
        "ins-datamatrix": t("Datamatrix INS", "INS Datamatrix"),
    }
    return names.get(one.claims.medium, one.claims.medium)


def summary(results: "Sequence[SceneResult]", width: int) -> Table | Text:
    """The table of all, or records where the terminal is too narrow for it."""
    columns = (
        t("Support", "Medium"),
        t("Lecteur", "Reader"),
        t("Ce qu’on sait", "What is known"),
        t("Preuve", "Proof"),
        t("Vérifiée", "Verified"),
        t("Jeton, p50", "Token, p50"),
    )
    rows = [_cells(one) for one in results]
    if not fits([columns, *rows], width):
        return Text("\n".join(records(columns, rows, width, colon=t("\N{NO-BREAK SPACE}: ", ": "))))
    table = Table(box=box.ROUNDED, header_style="bold")
    for column, longest in zip(columns, longest_words([columns, *rows]), strict=True):
        table.add_column(column, min_width=longest)
    for one, row in zip(results, rows, strict=True):
        *told, verified, token = row
        accepted = one.checks.get("token") == "accepted"
        styles = ("green" if one.claims.proof.verified else "", "green" if accepted else "red")
        table.add_row(*map(Text, told), *map(Text, (verified, token), styles))
    return table


def _cells(one: "SceneResult") -> tuple[str, ...]:
    proof = one.claims.proof
    accepted = one.checks.get("token") == "accepted"
    return (
        _medium(one),
        one.claims.reader.driver,
        _known(one),
        proof.method,
        t("oui", "yes") if proof.verified else t("non", "no"),
        f"{'✓' if accepted else '✗'} {_milliseconds(one.again_ms)}",
    )


def _known(one: "SceneResult") -> str:
    """Describes the holder, and the other claims of the token."""
    record = one.claims.record
    people = record.beneficiaires or ()
    holder = people[record.porteur] if record.porteur is not None else None
    numbers = [someone.nir or someone.nir_certifie for someone in people] + [record.assure and record.assure.nir]
    said = ["NIR"] if any(numbers) else []
    said += [t(f"{len(people)} personnes", f"{len(people)} people")] if len(people) > 1 else []
    said += [t("droits", "rights")] if any(someone.droits_amo for someone in people) else []
    said += [t("contexte", "context")] if one.claims.context is not None else []
    if one.claims.warnings:
        count = len(one.claims.warnings)
        said.append(t(f"{count} avertissement{'s' * (count > 1)}", f"{count} warning{'s' * (count > 1)}"))
    first = (holder.prenom if holder is not None else None) or "—"
    return ", ".join([first, *said])


def _verdicts(one: "SceneResult") -> Text:
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
    refused = [name for key, name in names.items() if one.checks.get(key, "accepted") != "accepted"]
    wrong = [name for key, name in names.items() if one.checks.get(key) == "accepted"]
    said.append(t(" ; refusé si ", "; refused if ") + ", ".join(refused) if refused else "")
    said.append(t(" ; ACCEPTÉ À TORT : ", "; WRONGLY ACCEPTED: ") + ", ".join(wrong) if wrong else "", style="bold red")
    return said


def _replay(one: "SceneResult") -> Text:
    reason = one.checks["same_string"]
    if reason == "accepted":
        return Text(
            t("la même chaîne est ACCEPTÉE À TORT ✗", "the same string is WRONGLY ACCEPTED ✗"), style="bold red"
        )
    said = t(
        f"la même chaîne, présentée de nouveau, est refusée ✓ ({reason})",
        f"the same string, presented once more, is refused ✓ ({reason})",
    )
    return Text(said, style="green")


def _times(one: "SceneResult") -> str:
    taken = _milliseconds(one.again_ms)
    begins = {
        "slot": t("carte présente", "card present"),
        "camera": t("code visible", "code visible"),
        "imager": t("code scanné", "code scanned"),
    }
    again = f"{begins.get(one.place, t('téléphone posé', 'phone laid'))} → {t('jeton', 'token')} {taken}"
    again += f" ({t('médiane de', 'median of')} {one.again})" if one.again > 2 else ""
    if one.claims.proof.method == "apcv-resolved":
        again += t(", service apCV compris", ", apCV service included")
    if one.place == "contactless":
        # The PCSCLITE_STATUS_POLL_RATE of a reader driver that cannot wait for cards by itself.
        again += t(
            " et jusqu’à 400 ms que met pcscd à voir un lecteur virtuel",
            " and up to 400 ms that pcscd takes to look at a virtual reader",
        )
    if one.detected_ms is None:
        return again
    first = t("support détecté → premier jeton", "medium detected → first token")
    return f"{first} {_milliseconds(one.detected_ms)}{t(' ; ', '; ')}{again}"


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
