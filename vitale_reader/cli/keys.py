"""``vitale-reader keys``: the keys that verify this station's tokens."""

from pathlib import Path

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Group, as_json, command, daemon_options, to_daemon
from vitale_reader.cli.frame.language import t

__all__ = ["keys"]

keys = Group("keys", help=t("Montre et renouvelle les clés de signature.", "Shows and rotates the signing keys."))


@command("show", help=t("Montre les clés publiques (JWKS).", "Shows the public keys (JWKS)."))
@as_json
@daemon_options
def show(as_json: bool, home: Path | None, address: str | None, pairing: Path | None) -> None:
    """Runs ``vitale-reader keys show``."""
    with to_daemon(home, address, pairing) as daemon:
        jwks = daemon.keys()
    if as_json:
        output.print_json(jwks)
        return
    state = (t("signe", "signs"), t("vérifie encore", "still verifies"))
    output.table(
        (t("Clé", "Key"), t("Courbe", "Curve"), t("État", "State")),
        [(str(key.get("kid")), str(key.get("crv")), state[min(index, 1)]) for index, key in enumerate(jwks["keys"])],
    )


@command("rotate", help=t("Crée une nouvelle clé de signature.", "Makes a new signing key."))
@as_json
@daemon_options
def rotate(as_json: bool, home: Path | None, address: str | None, pairing: Path | None) -> None:
    """Runs ``vitale-reader keys rotate``."""
    with to_daemon(home, address, pairing) as daemon:
        kid = daemon.rotate_keys()
    if as_json:
        output.print_json({"kid": kid})
        return
    output.lines(((t("Nouvelle clé", "New key"), kid),))


for entry in (show, rotate):
    keys.add_command(entry)
