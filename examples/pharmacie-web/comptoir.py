"""A desk without hardware: a daemon, simulated readers, and a terminal for what hands would do."""

import cmd
import os
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from vitale_firmware_sim.card.images import image_names
from vitale_reader.cli.demo.environment import DemoEnvironment, demo_environment

__all__ = ["Comptoir", "comptoir_simule"]

AIDE = """
  appairer             ouvre la fenêtre d’appairage et demande les six chiffres de la page
  carte [{images}]
                       met une carte Vitale dans le lecteur
  code [NOM]           montre à la douchette le code QR d’une appli carte Vitale (claire, paul)
  copie                tient devant la webcam une photo du dernier code, jusqu’à « retirer » : elle est refusée
  camera [NOM]         tient ce téléphone devant la webcam, jusqu’à « retirer »
  telephone [NOM]      pose ce téléphone sur le lecteur sans contact, jusqu’à « retirer »
  papier [NOM]         montre à la douchette le Datamatrix INS d’un document
  retirer              reprend la carte et le téléphone
  cles                 montre les clés du poste, à comparer avec la page
  redemarrer           arrête le service et le relance
  quitter              arrête tout
"""


class Comptoir(cmd.Cmd):
    """The terminal of a simulated desk.

    Args:
        environment: the daemon and its readers.
        port: where the daemon listens for pages.
    """

    prompt = "comptoir> "

    def __init__(self, environment: DemoEnvironment, port: int) -> None:
        super().__init__()
        self.port = port
        self._environment = environment
        self._last: tuple[bytes, str] | None = None
        self._images = "|".join(image_names())
        self.intro = f"Ce terminal est le comptoir.\n{AIDE.format(images=self._images)}"

    @property
    def home(self) -> Path:
        """The home of the daemon, for other commands."""
        return self._environment.home

    def do_help(self, arg: str) -> None:
        """Lists all the gestures."""
        print(AIDE.format(images=self._images))

    def default(self, line: str) -> None:
        """Says that a gesture is not known."""
        print(f"« {line} » : geste inconnu. « help » les montre tous.")

    def emptyline(self) -> bool:
        """Does nothing for an empty line."""
        return False

    def do_appairer(self, _: str) -> None:
        """Opens the window of a pairing, as a person at the desk does."""
        self._command("web", "pair")

    def do_cles(self, _: str) -> None:
        """Shows the keys of the desk."""
        self._command("keys", "show")

    def do_carte(self, image: str) -> None:
        """Puts a card into the reader."""
        slot = self._environment.slot
        if slot is None:
            print("Ici, la carte est déjà dans le lecteur.")
        elif (name := image or "famille") not in image_names():
            print(f"« {name} » : carte inconnue. Les cartes : {self._images}.")
        else:
            slot.remove()
            slot.insert(name)
            print(f"Carte « {name} » dans le lecteur.")

    def do_code(self, owner: str) -> None:
        """Shows a phone's QR code to the imager."""
        self._show("imager", owner, "Code QR montré à la douchette.")

    def do_copie(self, _: str) -> None:
        """Shows a photograph of the last code to the webcam."""
        codes = self._environment.codes
        if self._last is None or codes is None or codes.camera is None:
            print("Aucun code n’a encore été montré, ou il n’y a pas de webcam.")
        else:
            codes.places["camera"].show(*self._last)
            print("Une copie du code, devant la webcam.")

    def do_camera(self, owner: str) -> None:
        """Holds a phone before the webcam."""
        self._show("camera", owner, "Téléphone devant la webcam.")

    def do_papier(self, owner: str) -> None:
        """Shows the Datamatrix of a paper to the imager."""
        self._show("imager", owner, "Datamatrix montré à la douchette.", paper=True)

    def do_telephone(self, owner: str) -> None:
        """Lays a phone on the contactless reader."""
        phones = self._environment.phones
        if phones is None or phones.reader is None:
            print("Aucun lecteur sans contact n’est simulé ici.")
        elif self._known(name := owner or "claire"):
            phones.reader.field.put(phones.phone(name))
            print("Téléphone posé sur le lecteur.")

    def do_retirer(self, _: str) -> None:
        """Takes card and phones away."""
        if self._environment.slot is not None:
            self._environment.slot.remove()
        if self._environment.codes is not None and self._environment.codes.camera is not None:
            self._environment.codes.camera.clear()
        if self._environment.phones is not None and self._environment.phones.reader is not None:
            self._environment.phones.reader.field.remove()
        print("Plus rien sur les lecteurs.")

    def do_redemarrer(self, _: str) -> None:
        """Ends the daemon and starts it again."""
        self._environment.restart()
        print("Le service a redémarré.")

    def do_quitter(self, _: str) -> bool:
        """Ends the terminal and all that it started."""
        return True

    def do_EOF(self, _: str) -> bool:  # noqa: N802  the name that ``cmd`` has for Ctrl-D
        """Ends the terminal with its input."""
        return True

    def _known(self, owner: str) -> bool:
        codes = self._environment.codes
        if codes is None or owner not in {"claire", "paul"}:
            print(f"« {owner} » n’a pas de téléphone ici : claire ou paul.")
            return False
        return True

    def _show(self, place: str, owner: str, said: str, *, paper: bool = False) -> None:
        codes = self._environment.codes
        there = None if codes is None else codes.places.get(place)
        if codes is None or there is None:
            print("Ce lecteur n’est pas simulé ici.")
        elif self._known(name := owner or "claire"):
            code = codes.paper(name) if paper else codes.screen(name).renewed()
            self._last = (code, "datamatrix" if paper else "qr")
            there.prepare(code)
            there.show(*self._last)
            print(said)

    def _command(self, *words: str) -> None:
        """Runs a command of ``vitale-reader`` in this terminal, as a person at the desk would."""
        sys.stdout.flush()
        subprocess.run(
            [sys.executable, "-m", "vitale_reader", "--language", "fr", *words, "--home", str(self.home)],
            env={**os.environ, "PYTHONIOENCODING": "utf-8"},
            check=False,
        )


@contextmanager
def comptoir_simule() -> Generator[Comptoir]:
    """A daemon whose pages may come, with every reader that can be simulated here."""
    port = _free_port()
    with demo_environment(phones=True, codes=True, configuration=f"[web]\nenabled = true\nport = {port}\n") as running:
        yield Comptoir(running, port)


def _free_port() -> int:
    """A port that no program has; the daemon keeps it when it is started again."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
