"""``vitale-reader serve``: the daemon, in the foreground."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

import click
import msgspec

from vitale_protocol.errors import ConfigurationInvalid
from vitale_protocol.methods import StationMode
from vitale_reader.cli.frame import output
from vitale_reader.cli.frame.command import as_json, command, home_option
from vitale_reader.cli.frame.language import t
from vitale_reader.home import Endpoints, Home

if TYPE_CHECKING:
    from vitale_reader.daemon.config import Config

__all__ = ["serve"]


@command(
    "serve",
    help=t("Lance le service au premier plan, jusqu’à Ctrl-C.", "Runs the daemon in the foreground, until Ctrl-C."),
)
@click.option(
    "--mode",
    type=click.Choice(get_args(StationMode)),
    help=t("Remplace le mode de la configuration.", "Replaces the configuration's mode."),
)
@click.option(
    "--driver",
    "drivers",
    multiple=True,
    metavar=t("NOM", "NAME"),
    help=t(
        "Remplace les pilotes de la configuration ; répétable.", "Replaces the configuration's drivers; repeatable."
    ),
)
@click.option(
    "--tls-port",
    type=click.IntRange(0, 65_535),
    help=t("Port TLS ; 0 pour un port libre.", "TLS port; 0 for any free port."),
)
@as_json
@home_option
def serve(mode: str | None, drivers: tuple[str, ...], tls_port: int | None, as_json: bool, home: Path | None) -> None:
    """Runs the command ``vitale-reader serve``."""
    gc.disable()  # what a start makes is kept: to collect it 150 times over finds nothing
    try:
        _serve(mode, drivers, tls_port, as_json=as_json, home=home)
    finally:
        gc.enable()


def _serve(
    mode: str | None, drivers: tuple[str, ...], tls_port: int | None, *, as_json: bool, home: Path | None
) -> None:
    from vitale_reader.daemon import app
    from vitale_reader.daemon.config import located

    place = Home.chosen(home)
    settings = _settings(_loaded(place), cast("StationMode | None", mode), drivers, tls_port)

    def ready(endpoints: Endpoints) -> None:
        gc.freeze()
        gc.enable()
        if as_json:
            output.print_json({"endpoints": endpoints, "mode": settings.station.mode}, pretty=False)
            return
        output.lines(_addresses(endpoints, settings.station.mode))

    try:
        app.run(place, settings, on_ready=ready)
    except ConfigurationInvalid as error:
        raise located(error, place.config) from error


def _loaded(place: Home) -> "Config":
    """Reads the configuration; what is wrong with it goes to the log file where nobody would see it otherwise."""
    from vitale_reader.daemon import app
    from vitale_reader.daemon.config import load

    try:
        return load(place.config)
    except ConfigurationInvalid as error:
        app.tell_unseen(place, error)
        raise


def _settings(config: "Config", mode: StationMode | None, drivers: tuple[str, ...], tls_port: int | None) -> "Config":
    replace = msgspec.structs.replace
    if mode is not None:
        config = replace(config, station=replace(config.station, mode=mode))
    if drivers:
        config = replace(config, drivers=replace(config.drivers, enabled=drivers))
    if tls_port is not None:
        config = replace(config, tls=replace(config.tls, port=tls_port))
    return config


def _addresses(endpoints: Endpoints, mode: StationMode) -> list[tuple[str, str]]:
    lines = [("vitale-reader", f"{endpoints.version}, {t('mode', 'mode')} {mode}, pid {endpoints.pid}")]
    if endpoints.unix is not None:
        lines.append(("unix", endpoints.unix))
    if endpoints.tls is not None:
        lines.append(("tls", f"{endpoints.tls.host}:{endpoints.tls.port}  sha256 {endpoints.tls.sha256}"))
    return lines
