"""``vitale-reader verify``: checks a token, and says honestly what was compared and what was not."""

import base64
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import LocalMisuse, ParseError, TokenInvalid
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, daemon_options, to_daemon
from vitale_reader.cli.frame.describe import claims_lines
from vitale_reader.cli.frame.language import t

__all__ = ["verify"]

# docs/reference/wire.md, "Limits": no message, and so no token, is longer.
LONGEST = 1_048_576


class Addressed(msgspec.Struct):
    """The claims that somebody else has to know; read before the signature, only to name what was not compared."""

    aud: str
    nonce: str


@command(
    "verify",
    help=t(
        "Vérifie un jeton donné ou lu sur l’entrée standard (-).", "Verifies a token, given or on standard input (-)."
    ),
)
@click.argument("token", default="-")
@click.option(
    "--jwks",
    type=click.Path(path_type=Path, dir_okay=False),
    help=t(
        "Clés du poste (JWKS) ; sinon demandées au service.", "The station's keys (JWKS); else the daemon is asked."
    ),
)
@click.option("--audience", help=t("Identifiant du destinataire.", "The client id that it has to be for."))
@click.option("--nonce", help=t("Nonce attendu.", "The nonce expected."))
@as_json
@daemon_options
def verify(
    token: str,
    jwks: Path | None,
    audience: str | None,
    nonce: str | None,
    as_json: bool,
    home: Path | None,
    address: str | None,
    pairing: Path | None,
) -> None:
    """Runs the command ``vitale-reader verify``."""
    from vitale_reader.client.verification import verify as verify_token

    if token == "-":  # noqa: S105  not a secret but a place
        token = sys.stdin.buffer.read(LONGEST).decode("ascii", "replace")
    token = token.strip()
    addressed = _peek(token)
    if jwks is not None:
        keys = _load(jwks)
    else:
        with to_daemon(home, address, pairing) as daemon:
            keys = daemon.keys()
    claims = verify_token(
        token,
        jwks=keys,
        audience=addressed.aud if audience is None else audience,
        nonce=addressed.nonce if nonce is None else nonce,
    )
    checks = {
        "signature": "ok",
        "expiry": "ok",
        "audience": "ok" if audience is not None else "not_compared",
        "nonce": "ok" if nonce is not None else "not_compared",
    }
    if as_json:
        output.print_json({"valid": True, "checks": checks, "claims": claims})
        return
    names = {
        "signature": "signature",
        "expiry": t("validité", "expiry"),
        "audience": t("destinataire", "audience"),
        "nonce": "nonce",
    }
    not_compared = t("non comparé (aucune valeur donnée)", "not compared (no value given)")
    output.lines((names[name], "✓" if said == "ok" else not_compared) for name, said in checks.items())
    output.lines(claims_lines(claims))


def _peek(token: str) -> Addressed:
    try:
        _, payload, _ = token.split(".")
        return decode_document(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), Addressed)
    except (ValueError, ParseError) as error:
        raise TokenInvalid("not a token of this kind", variant="format", data={"check": "format"}) from error


def _load(file: Path) -> dict[str, Any]:
    try:
        return decode_document(file.read_bytes(), dict[str, Any])
    except ParseError as error:
        raise LocalMisuse(f"{file} is not a JWK Set") from error
