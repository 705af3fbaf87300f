"""Inspection of a driver that does not run: its options checked, its devices surveyed, one of them examined."""

import base64
from collections.abc import Callable

import msgspec

from vitale_drivers.base import (
    Sighting,
    Tell,
)
from vitale_drivers.host.worker_process import EX_DATAERR, EX_OK, status_of
from vitale_drivers.registry import load
from vitale_protocol.diagnosis.check_results import CheckResult, of_error
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import (
    ConfigurationInvalid,
    ParseError,
    ToolMissing,
    VitaleError,
)
from vitale_protocol.problems import Problem

__all__ = ["Examination", "Survey", "Surveyed", "check", "examine", "survey"]


def check(name: str, options: bytes) -> tuple[int, bytes]:
    """Checks the options of a driver without opening it.

    Args:
        name: the driver's.
        options: a JSON object.

    Returns:
        The exit status, and what is refused as a JSON object; empty where nothing is.
    """
    try:
        load(name)(decode_document(options, dict[str, object])).check()
    except ParseError:
        return EX_DATAERR, b""
    except (ConfigurationInvalid, ToolMissing) as error:
        return status_of(error), msgspec.json.encode(Problem.of(error))
    return EX_OK, b""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Question of ``doctor`` to a driver: its options."""

    options: dict[str, object]


class Surveyed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Answer to a ``Survey``: the options were refused, or something is missing, or this is what is seen."""

    refused: Problem | None = None
    seen: tuple[Sighting, ...] = ()


def survey(name: str, question: bytes, loaded: Callable[[], None]) -> tuple[int, bytes]:
    """Checks the options of a driver and looks at its devices without opening one.

    Args:
        name: the driver's.
        question: a ``Survey`` in JSON.
        loaded: is called when all is loaded and the devices are about to be looked at.

    Returns:
        The exit status, and a ``Surveyed`` in JSON.
    """
    try:
        asked = decode_document(question, Survey)
        driver = load(name)(asked.options)
        driver.check()
        loaded()
        return EX_OK, msgspec.json.encode(Surveyed(seen=driver.survey()))
    except ParseError:
        return EX_DATAERR, b""
    except (ConfigurationInvalid, ToolMissing) as error:
        return status_of(error), msgspec.json.encode(Surveyed(refused=Problem.of(error)))


class Examination(msgspec.Struct, frozen=True, kw_only=True):
    """Order of ``doctor`` to a driver: its options, how long to wait, and which reader to try.

    ``picture`` orders that all is shown. Without it no step has anything of a person. With it the last one has what the
    camera saw.
    """

    options: dict[str, object]
    seconds: float = 30.0
    reader: str = ""
    picture: bool = False


def examine(name: str, question: bytes, tell: Tell) -> int:
    """Tries a device step by step.

    Args:
        name: the driver's.
        question: an ``Examination`` in JSON.
        tell: takes each step; what keeps from trying is one.

    Returns:
        The exit status.
    """
    try:
        asked = decode_document(question, Examination)
        driver = load(name)(asked.options)
        driver.check()
        driver.examine(tell, asked.seconds, asked.reader)
        if asked.picture and driver.seen:
            jpeg = base64.b64encode(driver.seen).decode()
            tell(CheckResult(id="camera_picture", subject="picture", state="ok", values={"jpeg": jpeg}))
    except ParseError:
        return EX_DATAERR
    except (ConfigurationInvalid, ToolMissing) as error:
        tell(of_error(error, "driver", {"name": name}))
        return status_of(error)
    except VitaleError as error:
        tell(of_error(error, "reader", {"name": name}))
    return EX_OK
