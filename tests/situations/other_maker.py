"""Parts that another maker wrote, as a desk has them installed: a driver, and a plug-in for the apCV service."""

import os
from collections.abc import Mapping
from pathlib import Path

from vitale_drivers.base import Arm, Driver, Emit, Progress, ReaderAdded, Settled, Started, Transmit
from vitale_protocol.events import Reader, Step
from vitale_protocol.problems import Problem

__all__ = ["FAULTY", "TOLD", "OtherAssertion", "OtherDriver", "install"]

#: What the driver tells at each of its readers once it is armed: no more than the names of errors.
TOLD: dict[str, tuple[Step, Problem | None]] = {
    "plain": ("retry", None),
    "mute": ("retry", Problem("medium_mute")),
    "removed": ("retry", Problem("medium_removed")),
    "unreadable": ("retry", Problem("medium_unreadable")),
    "unsupported": ("retry", Problem("medium_unsupported")),
    "several": ("ambiguous", Problem("ambiguous_medium")),
}

#: The variable that names the file with which the plug-in fails.
FAULTY = "OTHER_MAKER_FAULTY"

_ASSERTION = b'<Assertion xmlns="urn:oasis:names:tc:SAML:2.0:assertion" ID="_other" Version="2.0"/>'


def install(folder: Path) -> None:
    """Writes what an installation leaves behind for entry points."""
    told = folder / "other_maker-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: other-maker\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(
        f"[vitale_reader.drivers]\nother-maker = {__name__}:OtherDriver\n"
        f"[vitale_reader.assertions]\nother-maker = {__name__}:OtherAssertion\n"
    )


class OtherDriver(Driver):
    """Readers that each find something wrong, and say no more of it than they must."""

    name = "other-maker"
    media = ("vitale-card",)

    def open(self, emit: Emit) -> None:
        """Tells the readers."""
        self._emit = emit
        emit(Started(driver=self.name, media=self.media))
        for place in TOLD:
            reader = Reader(id=f"other:{place}", name=place, driver=self.name, media=("vitale-card",), state="empty")
            emit(ReaderAdded(reader=reader))
        emit(Settled())

    def arm(self, command: Arm) -> None:
        """Tells what is wrong at the readers that are asked for."""
        for place, (step, problem) in TOLD.items():
            if f"other:{place}" in command.readers:
                self._emit(Progress(reader=f"other:{place}", step=step, problem=problem))

    def disarm(self) -> None:
        """Nothing goes on."""

    def transmit(self, command: Transmit) -> None:
        """Refuses: nothing lies there.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Ends nothing."""


class OtherAssertion:
    """An assertion that nobody signed; it has a fault for as long as a file is there."""

    simulated = True

    def __init__(self, options: Mapping[str, object]) -> None:
        """Stores the options without using them."""
        self.options = options

    async def assertion(self) -> bytes:
        """The assertion.

        Raises:
            ZeroDivisionError: the fault.
        """
        if Path(os.environ[FAULTY]).exists():
            raise ZeroDivisionError
        return _ASSERTION
