"""Completion of values that only the daemon or the simulator knows: readers, clients, images, scenarios, phones.

A shell waits meanwhile, and has room for values alone: where the daemon does not answer, nothing is completed.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from vitale_protocol.errors import VitaleError
from vitale_reader.cli.frame.command import daemon_settings

if TYPE_CHECKING:
    from vitale_reader.client.blocking import Connection

__all__ = ["clients", "images", "phones", "readers", "scenarios", "settings"]

Named = Iterable[tuple[str, str]]

#: Seconds for a daemon that is not there, and for one that is slow: a person has pressed a key.
PATIENCE, FOR_AN_ANSWER = 0.5, 10.0


def _completing(
    found: Callable[[click.Context], Named],
) -> Callable[[click.Context, click.Parameter, str], list["CompletionItem[str]"]]:
    """Makes a completion of names, with their descriptions."""

    def complete(context: click.Context, _: click.Parameter, incomplete: str) -> list["CompletionItem[str]"]:
        try:
            named = list(found(context))
        except (VitaleError, OSError, ImportError):
            # ImportError: what simulates is an extra.
            return []
        return [CompletionItem(name, help=said or None) for name, said in named if name.startswith(incomplete)]

    return complete


def _daemon(context: click.Context) -> "Connection":
    from msgspec.structs import replace

    from vitale_reader.client.blocking import Connection

    given: dict[str, Any] = context.params
    home, pairing = (Path(value) if (value := given.get(name)) else None for name in ("home", "pairing"))
    settings = daemon_settings(home, given.get("address"), pairing)
    return Connection(replace(settings, connect_timeout=PATIENCE, call_timeout=FOR_AN_ANSWER))


@_completing
def readers(context: click.Context) -> Named:
    """The ids of the readers."""
    with _daemon(context) as daemon:
        return [(reader.id, reader.name) for reader in daemon.readers()]


@_completing
def clients(context: click.Context) -> Named:
    """The ids of the paired clients that are not revoked."""
    with _daemon(context) as daemon:
        return [(client.client_id, client.name) for client in daemon.clients() if client.revoked_at is None]


@_completing
def settings(_: click.Context) -> Named:
    """The names of the settings outside the options of drivers and plug-ins."""
    from msgspec.structs import fields

    from vitale_reader.daemon.config import Config, Section

    for each in fields(Config):
        if isinstance(each.type, type) and issubclass(each.type, Section):
            yield from ((f"{each.name}.{setting.name}", "") for setting in fields(each.type))
        else:
            yield each.name, ""


@_completing
def images(_: click.Context) -> Named:
    """The names of the shipped cards."""
    from vitale_firmware_sim.card.images import image_names, load_image

    return [(name, load_image(name).description) for name in image_names()]


@_completing
def scenarios(_: click.Context) -> Named:
    """The names of the shipped scenarios."""
    from vitale_firmware_sim.scenario import load_scenario, scenario_names

    return [(name, load_scenario(name).description) for name in scenario_names()]


@_completing
def phones(context: click.Context) -> Named:
    """The ids of the phones of the scenario that is given."""
    from vitale_firmware_sim.scenario import load_scenario

    scenario = load_scenario(context.params.get("scenario") or "famille")
    return [(phone.id, phone.owner.prenom or "") for phone in scenario.phones]
