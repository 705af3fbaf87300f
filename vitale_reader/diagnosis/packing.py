"""The file for support in one answer to the daemon: packed, and cut to the limit of a message."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Final

from vitale_protocol.diagnosis.findings import Finding
from vitale_protocol.methods import BundleFile, BundleMade
from vitale_reader.diagnosis.bundle import MOST_BYTES, contents, packed
from vitale_reader.home import Home

__all__ = ["MOST_PACKED", "bundled"]

#: Bytes of the archive: in base64, and in its frame, below what a message of the dashboard holds.
MOST_PACKED: Final = 500_000


def bundled(home: Home, findings: Sequence[Finding]) -> BundleMade:
    """Makes the file; of a log that is too long only the end is in it.

    Args:
        home: of the station.
        findings: the report.
    """
    most = MOST_BYTES
    made = contents(home, findings)
    while len(archive := packed(made)) > MOST_PACKED and most > 1:
        most //= 2
        made = contents(home, findings, most=most)
    return BundleMade(
        zip_b64=b64encode(archive).decode("ascii"),
        files=tuple(BundleFile(name=each.name, kind=each.kind, size=len(each.text.encode())) for each in made),
        complete=most == MOST_BYTES,
    )
