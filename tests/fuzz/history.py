"""The history: what each target has had over the versions of its parser, kept beside its corpus."""

from pathlib import Path

import msgspec

from tests.fuzz.ledger import Record

__all__ = ["HISTORY", "History"]

HISTORY = Path(__file__).with_name("history")


class History(msgspec.Struct, frozen=True):
    """Records of one target, the last of each version, in the order in which they were kept."""

    records: tuple[Record, ...] = ()

    @classmethod
    def of(cls, name: str, folder: Path = HISTORY) -> "History":
        """The history of a target; an empty one where nothing was kept."""
        file = folder / f"{name}.json"
        return msgspec.json.decode(file.read_bytes(), type=cls) if file.exists() else cls()

    @property
    def last(self) -> Record:
        """The record that was kept last, or an empty one."""
        return self.records[-1] if self.records else Record()

    @property
    def whole(self) -> Record:
        """What all versions had together: seconds, runs and findings; what was reached is the last one's."""
        return msgspec.structs.replace(
            self.last,
            seconds=sum(one.seconds for one in self.records),
            runs=sum(one.runs for one in self.records),
            findings=tuple(sorted({finding for one in self.records for finding in one.findings})),
        )

    def keep(self, name: str, record: Record, folder: Path = HISTORY) -> None:
        """Writes a target's history with a record, which takes the place of an earlier one of its version."""
        if record.seconds <= max((one.seconds for one in self.records if one.version == record.version), default=0.0):
            return
        others = (one for one in self.records if one.version != record.version)
        folder.mkdir(exist_ok=True)
        written = msgspec.json.encode(History((*others, record)))
        (folder / f"{name}.json").write_bytes(msgspec.json.format(written) + b"\n")
