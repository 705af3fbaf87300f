"""Reports on this desk, each made in a process of its own.

That process asks devices and services, which may hang or crash.
"""

import asyncio
from typing import Literal, TypeVar

import msgspec

from vitale_drivers.host.programs import own_program
from vitale_protocol.catalogue import Language
from vitale_protocol.documents import decode_document
from vitale_protocol.errors import InternalError, ParseError
from vitale_protocol.events import Reader
from vitale_protocol.methods import (
    AuditVerified,
    BundleMade,
    ConfigChanged,
    ConfigChecked,
    Diagnosed,
    Result,
    StationInfo,
)
from vitale_reader.daemon.workers.child_process import begun
from vitale_reader.home import Home

__all__ = ["LIMIT", "Diagnostics", "Question", "Task"]

#: Seconds; ten times what a report takes on a busy desk.
LIMIT = 30.0

PROGRAM = own_program("vitale_reader.diagnosis", "diagnosis")


#: Kinds of reports: ``doctor``, its file for support, the audit trail, the file of the settings; a change of that.
Task = Literal["report", "bundle", "trail", "settings", "change"]

T = TypeVar("T", bound=Result)


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Question to the process: where the station is, in which language to answer, what the daemon says of itself."""

    task: Task = "report"
    config: str
    state: str
    run: str
    language: Language
    station: StationInfo
    readers: tuple[Reader, ...] = ()
    key: str = ""
    value: str = ""


class Diagnostics:
    """Makes reports, one at a time: each starts several processes."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._turn = asyncio.Lock()

    async def report(self, station: StationInfo, readers: tuple[Reader, ...], language: Language) -> Diagnosed:
        """The report of ``doctor``.

        Args:
            station: what the daemon says of itself.
            readers: of this desk.
            language: of the texts.

        Raises:
            InternalError: the process gave no report in time; so for the others.
        """
        return await self._answered(self._question("report", station, language, readers), Diagnosed)

    async def bundle(self, station: StationInfo, readers: tuple[Reader, ...], language: Language) -> BundleMade:
        """The file for support."""
        return await self._answered(self._question("bundle", station, language, readers), BundleMade)

    async def trail(self, station: StationInfo, language: Language) -> AuditVerified:
        """Tells whether the audit trail is whole."""
        return await self._answered(self._question("trail", station, language), AuditVerified)

    async def settings(self, station: StationInfo, language: Language) -> ConfigChecked:
        """Tells whether the file of the settings could be used."""
        return await self._answered(self._question("settings", station, language), ConfigChecked)

    async def change(self, station: StationInfo, key: str, value: str, language: Language) -> ConfigChanged:
        """Changes a setting in the file, if a start of the daemon would take it."""
        question = msgspec.structs.replace(self._question("change", station, language), key=key, value=value)
        return await self._answered(question, ConfigChanged)

    def _question(
        self, task: Task, station: StationInfo, language: Language, readers: tuple[Reader, ...] = ()
    ) -> Question:
        return Question(
            task=task,
            config=str(self._home.config),
            state=str(self._home.state),
            run=str(self._home.run),
            language=language,
            station=station,
            readers=readers,
        )

    async def _answered(self, question: Question, kind: type[T]) -> T:
        async with self._turn:
            return await _answer(question, kind)


async def _answer(question: Question, kind: type[T]) -> T:
    process = await begun(PROGRAM, heard=False)
    try:
        process.stdin.write(msgspec.json.encode(question))
        process.stdin.write_eof()
        async with asyncio.timeout(LIMIT):
            answer, status = await process.stdout.read(), await process.wait()
        return _read(answer, status, kind)
    except TimeoutError as error:
        raise InternalError("no report in time") from error
    finally:
        process.kill()
        process.close()


def _read(answer: bytes, status: int, kind: type[T]) -> T:
    try:
        return decode_document(answer, kind)
    except ParseError as error:
        raise InternalError(f"no report, status {status}") from error
