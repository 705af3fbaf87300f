"""The screen of ``vitale-reader sim phone --screen``: where it is served, and how it is told."""

import secrets
import time
from typing import TYPE_CHECKING

import click

from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.language import language, t
from vitale_reader.cli.frame.signals import until_interrupted

if TYPE_CHECKING:
    from vitale_firmware_sim.phone.screen_page import PhoneScreen
    from vitale_firmware_sim.phone.user import PhoneUser
    from vitale_protocol.records import Beneficiaire

__all__ = ["serve_screen"]

# The main thread wakes so often, for Ctrl-C on systems where a wait without limit cannot be interrupted.
BREATH = 1.0


def serve_screen(
    phone_user: "PhoneUser", shown: "Beneficiaire", *, locked: bool, port: int, lan: str | None, as_json: bool
) -> None:
    """Serves the page until Ctrl-C.

    Raises:
        ConfigurationInvalid: ``lan`` is no address of a local network.
        OSError: the address or port cannot be had.
    """
    from vitale_firmware_sim.phone.screen_page import PhoneScreen, lan_address

    name = " ".join(part for part in (shown.prenom, shown.nom_usuel) if part)
    address = lan_address(lan) if lan else "127.0.0.1"
    screen = PhoneScreen(
        phone_user,
        name,
        clock=time.time,
        locked=locked,
        language=language(),
        address=address,
        port=port,
        secret=secrets.token_urlsafe(16) if lan else "",
    )
    with screen, until_interrupted():
        _announce(screen, lan=bool(lan), as_json=as_json)
        while True:
            time.sleep(BREATH)


def _announce(screen: "PhoneScreen", *, lan: bool, as_json: bool) -> None:
    if as_json:
        output.print_json({"url": screen.url}, pretty=False)
        return
    output.note(
        t(
            f"Écran du téléphone sur {screen.url} ; Ctrl-C l’éteint.",
            f"Screen of the phone at {screen.url}; Ctrl-C turns it off.",
        )
    )
    if lan:
        output.note(
            t(
                "Toute machine du réseau qui connaît cette adresse le voit ; elle change à chaque lancement.",
                "Any machine of the network that knows this address sees it; it changes each time.",
            )
        )
    if lan and output.interactive():
        # So that the address need not be typed at the phone that is the screen.
        click.echo(_drawn(screen.url))


def _drawn(text: str) -> str:
    """A QR code in half blocks, light on dark as most terminals are."""
    import segno

    rows = [list(row) for row in segno.make(text, micro=False).matrix_iter(border=2)]
    rows += [[1] * len(rows[0])] * (len(rows) % 2)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join("".join("█▀▄ "[2 * up + down] for up, down in zip(*pair, strict=True)) for pair in pairs)
