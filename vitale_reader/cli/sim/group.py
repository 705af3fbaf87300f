"""``vitale-reader sim``: devices in software, for any program on this machine and not for ours only."""

import click

from vitale_reader.cli.frame.command import Group
from vitale_reader.cli.frame.language import t
from vitale_reader.cli.sim.camera import camera
from vitale_reader.cli.sim.card import card
from vitale_reader.cli.sim.imager import imager
from vitale_reader.cli.sim.phone import phone
from vitale_reader.cli.sim.reader import reader
from vitale_reader.cli.sim.service import service

__all__ = ["sim"]


@click.group("sim", cls=Group, help=t("Simule du matériel.", "Simulates devices."))
def sim() -> None:
    """Runs ``vitale-reader sim``, the group of simulators."""


sim.add_command(camera)
sim.add_command(card)
sim.add_command(imager)
sim.add_command(phone)
sim.add_command(reader)
sim.add_command(service)
