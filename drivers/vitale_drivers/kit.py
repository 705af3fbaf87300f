"""The kit of a driver's author: every name that a driver outside this project may build on.

- ``Driver`` is the interface; ``PollingDriver`` is one whose readers are looked for, each a ``ReaderThread``.
- ``PluggedReader`` opens, serves and closes a device, and does so again when it is back; ``Bus`` finds the devices.
- ``Presence`` decides when a medium is to be read; ``ReaderStatus`` reports each change of a reader once.
- ``CallTimer`` shows a call of a binding that does not return; ``HealthOfReaders`` is the driver's health.
- ``convert_settings`` and ``refusal`` check options, and refuse them with their place and the nearest name.
- ``Problem`` says what is the matter: a reason of the catalogue with its variant.
- The messages are those of ``base``, whose text has the rules; ``contract`` has the tests that check them.

These names and their arguments change with a line in the change log only. The page "Write a driver" uses them.
"""

from vitale_drivers.base import (
    Arm,
    Disarm,
    Driver,
    Emit,
    Failed,
    Health,
    Lease,
    Leased,
    Options,
    Presented,
    Preview,
    PreviewFrame,
    Progress,
    ReaderAdded,
    ReaderChanged,
    ReaderRemoved,
    Report,
    Started,
    Transmit,
    Transmitted,
    Unlease,
    Unleased,
)
from vitale_drivers.readers.call_timer import CallTimer
from vitale_drivers.readers.discovery import PollingDriver
from vitale_drivers.readers.health import HealthOfReaders
from vitale_drivers.readers.lifecycle import Bus, OpenDevice, Place, PluggedReader, ReaderThread
from vitale_drivers.readers.presence import Presence
from vitale_drivers.readers.status import ReaderStatus
from vitale_protocol.configuration.settings import convert_settings, refusal
from vitale_protocol.events import Reader
from vitale_protocol.problems import Problem

__all__ = [
    "Arm",
    "Bus",
    "CallTimer",
    "Disarm",
    "Driver",
    "Emit",
    "Failed",
    "Health",
    "HealthOfReaders",
    "Lease",
    "Leased",
    "OpenDevice",
    "Options",
    "Place",
    "PluggedReader",
    "PollingDriver",
    "Presence",
    "Presented",
    "Preview",
    "PreviewFrame",
    "Problem",
    "Progress",
    "Reader",
    "ReaderAdded",
    "ReaderChanged",
    "ReaderRemoved",
    "ReaderStatus",
    "ReaderThread",
    "Report",
    "Started",
    "Transmit",
    "Transmitted",
    "Unlease",
    "Unleased",
    "convert_settings",
    "refusal",
]
