"""The station's own memory of its store, in its own folder, where no writer of the database reaches.

- The end of the audit chain, how far each sealed table had come, and the latest time seen.
- All of it moves forward only. A store that is behind it was put back, cut or lost, and is told so.
"""

import logging
import threading
from pathlib import Path

import msgspec

from vitale_protocol.documents import decode_document
from vitale_protocol.errors import ParseError, StoreUnavailable
from vitale_reader.atomic_files import write_atomically

__all__ = ["HEARD_ANEW", "MOVED", "Anchor", "Heard", "Remembered", "read_anchor"]

logger = logging.getLogger(__name__)

#: Seconds after which the time of the site is noted anew, and by which the zero of the steady clock moves before it is.
HEARD_ANEW, MOVED = 3_600.0, 1.0


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """The time of the site, as its database told it last.

    Attributes:
        boot: the run of the machine, by the name that its system gives it; empty where it has none.
        zero: when the steady clock of that run counted zero, epoch seconds by the clock of the site.
        at: when it was noted, likewise.
    """

    boot: str
    zero: float
    at: float


class Anchor(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place in the chain that was its end once, and what else was seen by then.

    Attributes:
        number: the number of a row; 0 before the first.
        mac: its hash, hex.
        revisions: the highest revision of each sealed table.
        latest: the latest time, epoch seconds by the clock of the store.
        heard: the time of the site, where the store is that of one.
    """

    number: int
    mac: str
    revisions: dict[str, int] = {}
    latest: float = 0.0
    heard: Heard | None = None


class Remembered:
    """The memory of one store; without a file it lasts as long as the process."""

    def __init__(self, file: Path | None = None, anchor: Anchor | None = None) -> None:
        self._file = file
        self._anchor = anchor
        self._revisions: dict[str, int] = dict(anchor.revisions) if anchor else {}
        self._latest = anchor.latest if anchor else 0.0
        self._heard = anchor.heard if anchor else None
        self._written = anchor
        self._is_refused = False
        self._writing = threading.Lock()  # the threads of the store write it down as well

    @classmethod
    def read(cls, file: Path) -> "Remembered":
        """Reads the content of the file.

        Raises:
            StoreUnavailable: the file is damaged.
        """
        return cls(file, read_anchor(file))

    @property
    def is_kept(self) -> bool:
        """True if it is written down, so that a later start knows it."""
        return self._file is not None

    @property
    def anchor(self) -> Anchor | None:
        """The end of the station's chain as it was seen last; None where it has none yet."""
        return self._anchor

    @property
    def latest(self) -> float:
        """The latest time that was seen."""
        return self._latest

    @property
    def heard(self) -> Heard | None:
        """The time of the site, as it was noted last."""
        return self._heard

    @property
    def knows_store(self) -> bool:
        """True if the station has used this store before it was started."""
        return self._anchor is not None

    def knows(self, table: str) -> bool:
        """True if the station has seen this table with a head: then it is never without one again."""
        return table in self._revisions

    def revision(self, table: str) -> int:
        """The highest revision of a sealed table that was seen."""
        return self._revisions.get(table, 0)

    def saw_revision(self, table: str, revision: int) -> None:
        """A revision was seen; a lower one than before changes nothing."""
        self._revisions[table] = max(self.revision(table), revision)

    def saw_time(self, now: float) -> None:
        """A time was seen."""
        self._latest = max(self._latest, now)

    def heard_site(self, heard: Heard) -> None:
        """The database of the site told its time; what says the same as before is not noted."""
        old = self._heard
        if (
            old is None
            or heard.boot != old.boot
            or abs(heard.zero - old.zero) > MOVED
            or abs(heard.at - old.at) > HEARD_ANEW
        ):
            self._heard = heard

    def saw_end(self, number: int, mac: bytes) -> None:
        """The chain ended here; a place before the one that is known changes nothing."""
        if self._anchor is None or number > self._anchor.number:
            self._anchor = Anchor(number=number, mac=mac.hex())

    def write(self, *, durable: bool = True) -> None:
        """Writes it down, as well as can be; what is written already is not written again.

        Args:
            durable: whether it is to survive a power cut.
        """
        if self._file is None or self._anchor is None:
            return
        with self._writing:
            now = msgspec.structs.replace(
                self._anchor, revisions=dict(self._revisions), latest=self._latest, heard=self._heard
            )
            if now == self._written:
                return
            try:
                write_atomically(self._file, msgspec.json.encode(now), durable=durable)
            except OSError as error:
                if not self._is_refused:  # it is tried again with each change, and told once
                    logger.error("where the audit trail ends could not be written down: %s", error.strerror)
                self._is_refused = True
            else:
                self._written, self._is_refused = now, False


def read_anchor(file: Path) -> Anchor | None:
    """Reads the station's notes on its store; None where it has none.

    Raises:
        StoreUnavailable: the file is damaged.
    """
    try:
        return decode_document(file.read_bytes(), Anchor)
    except FileNotFoundError:
        return None
    except (OSError, ParseError) as error:
        raise StoreUnavailable("the anchor of the audit trail cannot be read", data={"file": str(file)}) from error
