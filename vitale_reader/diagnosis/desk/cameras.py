"""The cameras of Linux and the programs that have them; other systems name theirs to nobody."""

from collections.abc import Iterator

from vitale_protocol.diagnosis.check_results import CheckResult
from vitale_reader.daemon.workers.holders import find_holders
from vitale_reader.diagnosis.machine import InspectedMachine

__all__ = ["look"]


def look(machine: InspectedMachine, ours: frozenset[int]) -> Iterator[CheckResult]:
    """Looks at the cameras.

    Args:
        machine: the one that is looked at.
        ours: processes of this station's own daemon.
    """
    for folder in machine.folders("/sys/class/video4linux"):
        if machine.text(folder / "index") not in {"", "0"}:
            continue  # a further node of the same camera, without pictures
        node = f"/dev/{folder.name}"
        values = {"name": machine.text(folder / "name").partition(": ")[0] or folder.name, "device": node}
        holders = find_holders(node, ours, machine.at("/proc"))
        if holders:
            values |= {"holder": ", ".join(holders)}
            yield CheckResult(id="camera_held", subject="camera", state="note", values=values)
        else:
            yield CheckResult(id="camera", subject="camera", state="ok", values=values)
