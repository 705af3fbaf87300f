"""The report on this desk, made by a process of its own: it asks devices and services that may hang or crash."""

import asyncio
import contextlib

import msgspec

from vitale_drivers.host.programs import own_program
from vitale_protocol.catalogue import Language
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import InternalError, ParseError
from vitale_protocol.events import Reader
from vitale_protocol.methods import Diagnosed, StationInfo
from vitale_reader.home import Home

__all__ = ["LIMIT", "Question", "run"]

#: Seconds; ten times what a report takes on a busy desk.
LIMIT = 30.0

PROGRAM = own_program("vitale_reader.diagnosis", "diagnosis")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Question to the process: where the station is, in which language to answer, what the daemon says of itself."""

    config: str
    state: str
    run: str
    language: Language
    station: StationInfo
    readers: tuple[Reader, ...]


async def run(home: Home, station: StationInfo, readers: tuple[Reader, ...], language: Language) -> Diagnosed:
    """Makes the report.

    Args:
        home: of the station.
        station: what the daemon says of itself.
        readers: of this desk.
        language: of the texts.

    Raises:
        InternalError: the process gave no report in time.
    """
    question = Question(
        config=str(home.config),
        state=str(home.state),
        run=str(home.run),
        language=language,
        station=station,
        readers=readers,
    )
    process = await asyncio.create_subprocess_exec(
        *PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(LIMIT):
            answer, _ = await process.communicate(msgspec.json.encode(question))
        return decode_document(answer, Diagnosed)
    except (TimeoutError, ParseError) as error:
        raise InternalError("no report in time" if isinstance(error, TimeoutError) else "no report") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
