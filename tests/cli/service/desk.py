"""A desk whose commands speak with a systemd that is played."""

import json
from pathlib import Path
from typing import Any

import click
import msgspec
from click.testing import CliRunner, Result

from tests.service.systems import Systemd
from vitale_reader.cli.root import root
from vitale_reader.home import Endpoints, Home
from vitale_reader.service.machine import Machine


class Desk:
    """A desk with a systemd that is played."""

    def __init__(self, folder: Path) -> None:
        self.systemd = Systemd()
        self.program = folder / "python"
        self.program.touch()
        self.home = Home.under(folder / "home")
        self.machine = Machine(
            system="linux",
            user="1000",
            environ={},
            root=folder / "root",
            own=folder / "own",
            temporary=folder,
            program=(str(self.program), "serve"),
            run=self.systemd,
        )

    @property
    def unit(self) -> Path:
        return self.machine.own / ".config/systemd/user/vitale-reader.service"

    def run(self, *arguments: str, command: str = "service") -> Result:
        found = root.get_command(click.Context(root), command)
        assert found is not None
        return CliRunner().invoke(found, arguments)

    def json(self, *arguments: str, command: str = "service") -> Any:
        return json.loads(self.run(*arguments, "--json", command=command).stdout)

    def publish(self, pid: int) -> None:
        self.home.run.mkdir(parents=True)
        self.home.endpoints_file.write_bytes(msgspec.json.encode(Endpoints(pid=pid, version="0")))
