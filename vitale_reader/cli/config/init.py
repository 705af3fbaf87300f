"""``vitale-reader config init``: devices are looked for, the rest is asked; a commented configuration comes of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast, get_args

import click
import msgspec

from vitale_protocol.errors import LocalMisuse, ToolMissing
from vitale_protocol.methods import StationMode
from vitale_reader.cli.config.show_and_check import literal
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import Language, language, t
from vitale_reader.cli.frame.prompts import agreed, somebody_is_there
from vitale_reader.diagnosis import settings_file
from vitale_reader.home import Home

if TYPE_CHECKING:
    from vitale_reader.daemon.config import Config

__all__ = ["InitAnswers", "init", "next_step", "text"]

#: Drivers that look for devices by themselves, in the order in which they are asked for.
_DRIVERS: Final = ("pcsc", "nfc", "camera", "scanner")

#: The profile that reads simulated phones, without which NFC has nothing to read in that mode.
_SIMULATOR: Final = "simulator"


class InitAnswers(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of which a configuration is made; ``seen`` are the names of the devices of each driver."""

    name: str
    mode: StationMode
    language: Language
    drivers: tuple[str, ...]
    web: bool
    seen: dict[str, tuple[str, ...]] = {}


@command(
    "init",
    help=t(
        "Crée la configuration en quelques questions, et propose d’installer le service.",
        "Begins a configuration with a few questions, and offers to install the service.",
    ),
)
@click.option("--name", help=t("Nom du poste.", "Name of the desk."))
@click.option("--mode", type=click.Choice(get_args(StationMode)), help=t("Mode du poste.", "Mode of the desk."))
@click.option(
    "--driver",
    "drivers",
    multiple=True,
    metavar=t("NOM", "NAME"),
    help=t(
        "Pilote à utiliser, au lieu de ce qui est détecté ; répétable.", "Driver, instead of those found; repeatable."
    ),
)
@click.option(
    "--web/--no-web",
    default=None,
    help=t("Ouvre le poste aux pages web, ou non.", "Opens the desk to web pages, or not."),
)
@click.option(
    "--service/--no-service", default=None, help=t("Installe le service, ou non.", "Installs the service, or not.")
)
@click.option(
    "--yes", is_flag=True, help=t("Ne demande rien : ce qui est proposé.", "Asks nothing: takes what is proposed.")
)
@click.option(
    "--overwrite",
    is_flag=True,
    help=t(
        "Remplace la configuration en place, gardée sous config.toml.old.",
        "Replaces the configuration that is there, kept as config.toml.old.",
    ),
)
@as_json
@home_option
def init(
    name: str | None,
    mode: str | None,
    drivers: tuple[str, ...],
    web: bool | None,
    service: bool | None,
    yes: bool,
    overwrite: bool,
    as_json: bool,
    home: Path | None,
) -> None:
    """Runs ``vitale-reader config init``."""
    place = Home.chosen(home)
    asks = not yes and not as_json and somebody_is_there()
    _require_room(place.config, asks=asks, overwrite=overwrite)
    answers = _answers(name, cast("StationMode | None", mode), drivers, web, asks=asks)
    made = text(answers)
    with output.progress(t("Contrôle de la configuration…", "Checking the configuration…")):
        config = settings_file.checked(place, made)
    _written(place.config, made, config)
    if not as_json:
        click.echo(t(f"{place.config} est écrit.", f"{place.config} is written."))
    if service is None:
        service = asks and _wants_service(home)
    if as_json:
        output.print_json({"path": str(place.config), "settings": answers, "service": service})
    if service:
        _install(home)
    elif not as_json:
        click.echo(next_step(place))
    if not as_json:
        click.echo(
            t(
                "Ensuite, `vitale-reader dashboard` montre le poste, et `vitale-reader read` lit une carte.",
                "Then `vitale-reader dashboard` shows the desk, and `vitale-reader read` reads a card.",
            )
        )


def text(answers: InitAnswers) -> str:
    """The configuration with its comments, in the language of the answers."""

    def said(fr: str, en: str) -> str:
        return fr if answers.language == "fr" else en

    none = said("rien n’a été détecté", "nothing was found")
    lines = [
        said(
            "# Configuration du poste, écrite par `vitale-reader config init`.",
            "# Configuration of the desk, written by `vitale-reader config init`.",
        ),
        said(
            "# `vitale-reader config show` montre tous les réglages, `config check` contrôle ce fichier,",
            "# `vitale-reader config show` shows every setting, `config check` checks this file,",
        ),
        said(
            "# et `config set RÉGLAGE VALEUR` en modifie un. Le service en tient compte à son démarrage.",
            "# and `config set KEY VALUE` changes one. The daemon takes them up when it starts.",
        ),
        "",
        "[station]",
        said("# Nom que voient les logiciels.", "# Name that programs see."),
        f"name = {literal(answers.name)}",
        said(
            "# production : rien de simulé n’est accepté ; test : l’est, et marqué ; simulated : pour essayer.",
            "# production: nothing simulated is taken; test: it is, and marked; simulated: to try things.",
        ),
        f"mode = {literal(answers.mode)}",
        said(
            "# Langue des commandes ; sans cette ligne, celle du système.",
            "# Language of the commands; that of the system without this line.",
        ),
        f"language = {literal(answers.language)}",
        "",
        "[drivers]",
        said(
            "# pcsc : lecteurs de cartes ; nfc : téléphones ; camera : webcam ; scanner : douchette.",
            "# pcsc: card readers; nfc: phones; camera: webcam; scanner: handheld imager.",
        ),
        *(
            f"# {driver}{said(' :', ':')} {output.escaped(', '.join(names)) or none}"
            for driver, names in answers.seen.items()
        ),
        f"enabled = {literal(list(answers.drivers))}",
        "",
    ]
    if "nfc" in answers.drivers and answers.mode == "simulated":
        lines += [
            "[apcv]",
            said("# Lit les téléphones simulés.", "# Reads simulated phones."),
            'profiles = ["simulator"]',
            "",
        ]
    lines += [
        "[web]",
        said(
            "# Pages de logiciels web, chacune appairée à ce poste avec `vitale-reader web pair`.",
            "# Pages of web software, each paired at this desk with `vitale-reader web pair`.",
        ),
        f"enabled = {literal(answers.web)}",
        "",
    ]
    return "\n".join(lines)


def _require_room(file: Path, *, asks: bool, overwrite: bool) -> None:
    """Nothing, where no configuration would be lost unasked.

    Raises:
        LocalMisuse: there is one.
    """
    if not file.exists() or overwrite:
        return
    question = t(
        f"{file} existe. Le remplacer, en le gardant sous {file.name}.old ?",
        f"{file} is there. Replace it, and keep it as {file.name}.old?",
    )
    if not (asks and agreed(question, default=False)):
        raise LocalMisuse(str(file), variant="settings_exist", data={"file": str(file)})


def _written(file: Path, made: str, config: "Config") -> None:
    from vitale_reader.daemon import config_file

    with config_file.reserved(file):
        if file.exists():
            config_file.set_aside(file)
        settings_file.replace(file, made, config)


def _answers(
    name: str | None, mode: StationMode | None, drivers: tuple[str, ...], web: bool | None, *, asks: bool
) -> InitAnswers:
    if name is None:
        name = _asked(t("Nom du poste", "Name of the desk"), "vitale-reader") if asks else "vitale-reader"
    if mode is None:
        mode = _mode() if asks else "production"
    seen = {} if drivers else _seen()
    chosen = drivers or _chosen(seen, mode, asks=asks)
    if web is None:
        question = t("Un logiciel ouvert dans un navigateur s’en servira-t-il ?", "Will software in a browser use it?")
        web = asks and agreed(question, default=False)
    return InitAnswers(name=name, mode=mode, language=language(), drivers=chosen, web=web, seen=seen)


def _asked(question: str, default: str) -> str:
    told: str = click.prompt(question, default=default, err=True)
    return told


def _mode() -> StationMode:
    real = t("Ce poste sert-il à de vrais patients ?", "Is this desk for real patients?")
    return "production" if agreed(real, default=True) else "simulated"


def _seen() -> dict[str, tuple[str, ...]]:
    """The names of the devices that each installed driver sees."""
    from vitale_protocol.extras import missing_part
    from vitale_reader.daemon.config import ApcvSection, Config, DriversSection, StationSection
    from vitale_reader.diagnosis.station import devices

    installed = tuple(each for each in _DRIVERS if missing_part(cast("Any", each), f"driver {each}") is None)
    # In this mode each driver looks: one without a profile of phones would refuse to.
    looking = Config(
        station=StationSection(mode="simulated"),
        apcv=ApcvSection(profiles=(_SIMULATOR,)),
        drivers=DriversSection(enabled=installed),
    )
    with output.progress(t("Recherche des lecteurs…", "Looking for readers…")):
        return devices.seen_names(devices.ask(looking))


def _chosen(seen: dict[str, tuple[str, ...]], mode: StationMode, *, asks: bool) -> tuple[str, ...]:
    """The drivers: of what is there, and of what is wanted; card readers are plugged in later, too."""
    if mode == "simulated":
        return ("simulated-card",)
    chosen = ["pcsc"]
    for driver in ("camera", "scanner"):
        if names := ", ".join(seen.get(driver, ())):
            label = {"camera": t("webcam", "webcam"), "scanner": t("douchette", "imager")}[driver]
            question = t(f"Lire avec la {label} {names} ?", f"Read with the {label} {names}?")
            if not asks or agreed(output.escaped(question), default=driver == "scanner"):
                chosen.append(driver)
    if seen.get("nfc"):
        output.note(
            t(
                "Un lecteur NFC est là\N{NO-BREAK SPACE}: lire les téléphones demande un profil, à ajouter ensuite.",
                "An NFC reader is there: to read phones a profile is needed, to be added later.",
            )
        )
    return tuple(chosen)


def next_step(place: Home) -> str:
    """The sentence on what comes next: a service that is on is started anew, or one is installed."""
    from vitale_reader.cli.service import installing

    try:
        found = installing.this_service(None, system=True)
        of_machine = found.station is not None and Home.under(found.station).config == place.config
        if not of_machine:
            found = installing.this_service(None, system=False)
    except ToolMissing:  # a system whose services are not known here
        return t("Lancez `vitale-reader serve`.", "Run `vitale-reader serve`.")
    state = found.state()
    before, after = ("sudo ", " --system") if of_machine else ("", "")
    if state.installed and (state.running or state.starts):
        again = f"`{before}vitale-reader service restart{after}`"
        return t(
            f"Pour que le service en tienne compte\N{NO-BREAK SPACE}: {again}.",
            f"For the service to take it up: {again}.",
        )
    install = f"`{before}vitale-reader service install{after}`"
    return t(
        f"Lancez `vitale-reader serve`, ou installez le service avec {install}.",
        f"Run `vitale-reader serve`, or install the service with {install}.",
    )


def _wants_service(home: Path | None) -> bool:
    """True if the person wants the service started with these settings; False where none is known for this system."""
    from vitale_reader.cli.service import installing

    try:
        runs = installing.this_service(home, system=False).state().running
    except ToolMissing:
        return False
    again = t("Redémarrer le service, avec ces réglages ?", "Start the service anew, with these settings?")
    first = t(
        "Installer le service, qui démarre avec votre session ?", "Install the service, which starts when you log in?"
    )
    return agreed(again if runs else first, default=True)


def _install(home: Path | None) -> None:
    """Installs the service; one that runs is started anew, with the new settings."""
    from vitale_reader.cli.service import installing

    given = {"system": False, "as_json": False, "home": home}
    context = click.get_current_context()
    if installing.this_service(home, system=False).state().running:
        context.invoke(installing.restart, **given)
    else:
        context.invoke(installing.install, dry_run=False, **given)
