"""The kit of a driver's author: every name that a driver outside this project may build on.

- ``Driver`` is the interface; ``PollingDriver`` searches its readers, each a ``ReaderThread``.
- ``PluggedReader`` opens, serves and closes a device, and again when it is back; ``ReaderBus`` finds the devices.
- ``Presence`` decides when a medium is to be read; ``ReaderStatus`` reports each change of a reader once.
- ``CallTimer`` shows a call of a binding that does not return; ``HealthOfReaders`` is the driver's health.
- ``convert_settings`` and ``refusal`` check options, and refuse them with their place and the nearest name.
- ``Sighting`` is what ``survey`` sees of a device, for ``doctor``.
- ``Problem`` says what is the matter: a reason of the catalogue with its variant.
- The messages are those of ``base``, whose text has the rules; ``contract`` has the tests that check them.

These names and their arguments change with a line in the change log only. The page "Write a driver" uses them.
"""

from vitale_drivers.base import (
    Arm,
    CodeScanned,
    Disarm,
    Driver,
    Emit,
    Failed,
    FindHolders,
    Health,
    LeaseCommand,
    Leased,
    Options,
    Presented,
    Preview,
    PreviewPicture,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Settled,
    Sighting,
    Started,
    Transmit,
    Transmitted,
    Unlease,
    Unleased,
)
from vitale_drivers.readers.call_timer import CallTimer
from vitale_drivers.readers.discovery import PollingDriver
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import OpenDevice, PluggedReader, ReaderBus, ReaderPlace, ReaderThread
from vitale_drivers.readers.presence import Presence
from vitale_drivers.readers.status import ReaderStatus
from vitale_protocol.configuration.settings import convert_settings, refusal
from vitale_protocol.events import Gs1, Reader
from vitale_protocol.problems import Problem

__all__ = [
    "Arm",
    "CallTimer",
    "CodeScanned",
    "Disarm",
    "Driver",
    "Emit",
    "Failed",
    "FindHolders",
    "Gs1",
    "Health",
    "HealthOfReaders",
    "LeaseCommand",
    "Leased",
    "OpenDevice",
    "Options",
    "PluggedReader",
    "PollingDriver",
    "Presence",
    "Presented",
    "Preview",
    "PreviewPicture",
    "Problem",
    "Progress",
    "Reader",
    "ReaderAdded",
    "ReaderBus",
    "ReaderChanged",
    "ReaderPlace",
    "ReaderRemoved",
    "ReaderStatus",
    "ReaderThread",
    "Report",
    "Settled",
    "Sighting",
    "Started",
    "Transmit",
    "Transmitted",
    "Unlease",
    "Unleased",
    "convert_settings",
    "refusal",
]
