"""The services of the systems: which one this machine has."""

from pathlib import Path

from vitale_protocol.errors import ToolMissing
from vitale_reader.service.base import Service
from vitale_reader.service.launchd_service import LaunchAgent
from vitale_reader.service.machine import Machine
from vitale_reader.service.scope import Scope
from vitale_reader.service.systemd_service import SystemdService
from vitale_reader.service.task_scheduler_service import LogonTask

__all__ = ["service"]


def service(scope: Scope, machine: Machine, home: Path | None = None) -> Service:
    """The service on a machine.

    Raises:
        ToolMissing: no service is known for this system.
    """
    kinds: dict[str, type[Service]] = {"linux": SystemdService, "darwin": LaunchAgent, "win32": LogonTask}
    kind = kinds.get(machine.system)
    if kind is None:
        raise ToolMissing(f"no service is known for {machine.system}", data={"tool": "systemd"})
    return kind(scope=scope, machine=machine, home=home)
