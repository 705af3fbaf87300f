"""``vitale-reader sim camera``: a webcam's view of a simulated phone, as a video file or a network camera."""

import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import Simulation, as_json, command
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.frame.signals import until_interrupted
from vitale_reader.cli.sim.options import phone_option, scenario_option

if TYPE_CHECKING:
    from vitale_firmware_sim.camera.scene import Severity
    from vitale_firmware_sim.camera.sequence import PhoneShowing

__all__ = ["camera"]

# So often it is looked whether the phone has renewed its code.
BREATH = 0.25
SEVERITIES = ("light", "medium", "hard")


@command(
    "camera",
    cls=Simulation,
    help=t(
        "Montre un téléphone simulé à une webcam simulée : vidéo (--file) ou caméra réseau (--serve).",
        "Shows a simulated phone to a simulated webcam: a video (--file) or a network camera (--serve).",
    ),
)
@scenario_option
@phone_option
@click.option(
    "--kind",
    metavar="K[+K]",
    help=t(
        "La difficulté : un nom de --list, ou plusieurs avec +.",
        "What is difficult: a name of --list, or several with +.",
    ),
)
@click.option(
    "--severity",
    type=click.Choice(SEVERITIES),
    default="light",
    show_default=True,
    help=t("La sévérité, par difficulté.", "And how much."),
)
@click.option(
    "--sequence",
    metavar=t("NOM", "NAME"),
    help=t(
        "Pour --file : le geste, un nom de --list ; par défaut presented.",
        "For --file: the gesture, a name of --list; presented by default.",
    ),
)
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    help=t("Écrit une vidéo (MJPEG, .avi).", "Writes a video (MJPEG, .avi)."),
)
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 600),
    help=t("Pour --file : la durée ; par défaut celle du geste.", "For --file: how long; as the gesture by default."),
)
@click.option(
    "--serve",
    is_flag=False,
    flag_value=0,
    type=click.IntRange(0, 65_535),
    metavar="[PORT]",
    help=t(
        "Sert une caméra réseau (MJPEG sur HTTP) sur ce poste, jusqu’à Ctrl-C.",
        "Serves a network camera (MJPEG over HTTP) on this machine, until Ctrl-C.",
    ),
)
@click.option(
    "--size",
    default="1280x720",
    show_default=True,
    metavar=t("LxH", "WxH"),
    help=t("La taille des images.", "The size of the frames."),
)
@click.option("--grey", is_flag=True, help=t("En niveaux de gris, bien plus vite.", "In grey, much quicker."))
@click.option("--seed", default=0, show_default=True, help=t("La graine du hasard.", "The seed of all that is random."))
@click.option(
    "--list",
    "only_list",
    is_flag=True,
    help=t("Liste les difficultés et les gestes.", "Lists the difficulties and the gestures."),
)
@as_json
def camera(
    scenario: str,
    phone_id: str,
    kind: str | None,
    severity: "Severity",
    sequence: str | None,
    file: Path | None,
    seconds: float | None,
    serve: int | None,
    size: str,
    grey: bool,
    seed: int,
    only_list: bool,
    as_json: bool,
) -> None:
    """Runs ``vitale-reader sim camera``."""
    if only_list:
        _list(as_json=as_json)
        return
    if (file is None) == (serve is None):
        raise click.UsageError(t("--file ou --serve, l’un des deux.", "Either --file or --serve."))
    if serve is not None and (sequence or seconds):
        raise click.UsageError(
            t("--sequence et --seconds vont avec --file.", "--sequence and --seconds go with --file.")
        )
    held = _Held(scenario, phone_id)
    frame = _size(size)
    if file is not None:
        showing = _showing(sequence or "presented", kind, severity, seconds)
        _write(held, file, showing, frame, colour=not grey, seed=seed, as_json=as_json)
    elif serve is not None:
        _serve(held, serve, kind or "plain", severity, frame, colour=not grey, seed=seed, as_json=as_json)


class _Held:
    """The phone before the camera, at the time of the frame.

    The wall clock would be wrong: a file is written slower or faster than it plays.
    """

    def __init__(self, scenario: str, phone: str) -> None:
        from vitale_firmware_sim.phone.card import PhoneRefusal
        from vitale_firmware_sim.phone.user import PhoneUser
        from vitale_firmware_sim.scenario import load_scenario

        self.began = self.now = time.time()
        self.codes = 0
        self._last = b""
        self._phone_user = PhoneUser(load_scenario(scenario), phone, clock=lambda: self.now, random=secrets.token_bytes)
        try:
            self.code(self.now)
        except PhoneRefusal as refusal:
            raise ConfigurationInvalid("the phone is not active", data={"path": "--phone"}) from refusal

    def code(self, now: float) -> bytes:
        """Code on the screen of the phone."""
        from vitale_firmware_sim.phone.screen_page import screen_code

        self.now = now
        string = screen_code(self._phone_user, now).string
        if string != self._last:
            self._last = string
            self.codes += 1
        return string

    @property
    def name(self) -> str:
        """Id of the phone."""
        return self._phone_user.settings.id


def _showing(name: str, kind: str | None, severity: "Severity", seconds: float | None) -> "PhoneShowing":
    import math
    from dataclasses import replace

    from vitale_firmware_sim.camera.sequence import SEQUENCES

    if name not in SEQUENCES:
        raise ConfigurationInvalid("--sequence is one of " + ", ".join(SEQUENCES), data={"path": "--sequence"})
    showing = SEQUENCES[name]
    if kind is not None:
        showing = replace(showing, kind=kind, severity=severity)
    if seconds is not None:
        leaves = showing.leaves + seconds - showing.seconds
        showing = replace(showing, seconds=seconds, leaves=leaves if math.isfinite(leaves) else math.inf)
    return showing


def _write(
    held: _Held, file: Path, showing: "PhoneShowing", size: tuple[int, int], *, colour: bool, seed: int, as_json: bool
) -> None:
    from vitale_firmware_sim.camera.sequence import FPS, sequence
    from vitale_firmware_sim.camera.video import AviWriter

    if file.suffix.lower() != ".avi":
        raise ConfigurationInvalid("--file is the name of an .avi", data={"path": "--file"})
    frames = sequence(showing, seed, codes=lambda at: held.code(held.began + at), size=size, colour=colour)
    total = max(round(showing.seconds * FPS), 1)
    written = 0
    with output.progress(t("Images…", "Frames…")) as notify, AviWriter(file, size, fps=FPS) as video:
        for written, frame in enumerate(frames, 1):
            video.write(frame.picture)
            if written % FPS == 0:
                notify(t(f"Images : {written} sur {total}", f"Frames: {written} of {total}"))
    if as_json:
        summary = {"file": str(file), "frames": written, "fps": FPS, "width": size[0], "height": size[1]}
        output.print_json({**summary, "phone": held.name, "codes": held.codes})
        return
    output.note(
        t(
            f"{written} images, {held.codes} code(s) du téléphone « {held.name} » : {file}",
            f"{written} frames, {held.codes} code(s) of the phone {held.name}: {file}",
        )
    )


def _serve(
    held: _Held,
    port: int,
    kind: str,
    severity: "Severity",
    size: tuple[int, int],
    *,
    colour: bool,
    seed: int,
    as_json: bool,
) -> None:
    from vitale_firmware_sim.camera.live import LiveCamera
    from vitale_firmware_sim.camera.scene import fitted, scene

    scene(kind, severity, seed)
    live = LiveCamera(size=size, port=port, colour=colour, seed=seed)
    shown = b""
    with until_interrupted(), live:
        _announce(live.url, held.name, as_json=as_json)
        while True:
            code = held.code(time.time())
            if code != shown:
                live.show(fitted(scene(kind, severity, seed, code), size[0]))
                shown = code
                if as_json:
                    output.print_json({"code": held.codes}, pretty=False)
            time.sleep(BREATH)


def _announce(url: str, phone: str, *, as_json: bool) -> None:
    if as_json:
        output.print_json({"url": url}, pretty=False)
        return
    output.note(
        t(
            f"Caméra devant le téléphone « {phone} » sur {url} ; Ctrl-C l’arrête.",
            f"Camera before the phone {phone} at {url}; Ctrl-C ends it.",
        )
    )


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and 160 <= int(width) <= 3840 and 120 <= int(height) <= 2160):
        raise ConfigurationInvalid("--size is WIDTHxHEIGHT, 160x120 to 3840x2160", data={"path": "--size"})
    return int(width), int(height)


def _list(*, as_json: bool) -> None:
    from vitale_firmware_sim.camera.scene import COMBINED, KINDS
    from vitale_firmware_sim.camera.sequence import SEQUENCES

    if as_json:
        output.print_json({"kinds": KINDS, "combined": COMBINED, "severities": SEVERITIES, "sequences": [*SEQUENCES]})
        return
    output.lines(
        (
            (t("Difficultés", "Difficulties"), ", ".join(KINDS)),
            (t("Ensemble", "Together"), ", ".join(COMBINED)),
            (t("Degrés", "Severities"), ", ".join(SEVERITIES)),
            (t("Gestes", "Gestures"), ", ".join(SEQUENCES)),
        )
    )
