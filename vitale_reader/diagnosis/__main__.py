"""``python -m vitale_reader.diagnosis``: reports for a daemon that asks on standard input, as JSON.

It changes a setting as well, which takes all the checks of a start.
"""

import os
import sys
from pathlib import Path

import msgspec

from vitale_protocol.diagnosis.findings import Finding, tell
from vitale_protocol.documents import decode_document
from vitale_protocol.methods import Diagnosed, Result
from vitale_reader.daemon.diagnostics import Question
from vitale_reader.diagnosis.packing import bundled
from vitale_reader.diagnosis.report import examine
from vitale_reader.diagnosis.station.daemon_view import DaemonView
from vitale_reader.diagnosis.trail_and_settings import set_one, settings, trail
from vitale_reader.home import Home

__all__ = ["answer", "main"]


def answer(question: bytes) -> bytes:
    """Makes the report that is asked for.

    Raises:
        ParseError: nothing is.
    """
    asked = decode_document(question, Question)
    home = Home(config=Path(asked.config), state=Path(asked.state), run=Path(asked.run))
    made: Result
    match asked.task:
        case "report":
            findings = _findings(home, asked)
            made = Diagnosed(healthy=all(finding.state != "wrong" for finding in findings), findings=findings)
        case "bundle":
            made = bundled(home, _findings(home, asked))
        case "trail":
            made = trail(home, asked.language)
        case "settings":
            made = settings(home, asked.language)
        case "change":
            made = set_one(home, asked.key, asked.value, asked.language)
    return msgspec.json.encode(made)


def _findings(home: Home, asked: Question) -> tuple[Finding, ...]:
    rows = examine(home, DaemonView(station=asked.station, readers=asked.readers))
    return tuple(tell(row, asked.language) for row in rows)


def main() -> None:
    """Answers the question on standard input."""
    # What a library prints must not get between the daemon and the answer.
    sink = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    told = answer(sys.stdin.buffer.read())
    with os.fdopen(sink, "wb") as stream:
        stream.write(told)


if __name__ == "__main__":
    main()
