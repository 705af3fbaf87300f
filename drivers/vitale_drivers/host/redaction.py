"""Log formatting that cannot leak a patient: the one formatter between any logger and anything that keeps its lines.

Rules:

- An exception is logged by its type and its frames. Its text is kept only if it is of our own tree. Those texts are
  free of personal data by contract. Other texts may quote their input.
- What looks like a NIR, a token or a stretch of card data is replaced, whoever wrote it.
- Names cannot be recognised by their looks: they must never be given to a logger.
"""

import logging
import re
import traceback
from types import TracebackType

from vitale_protocol.errors import VitaleError

__all__ = ["RedactingFormatter", "redact", "redact_exception"]

_TOKEN = re.compile(r"(?<![\w-])(?=[\w-]++\.)([\w-]*?)eyJ[\w-]++(?:\.[\w-]*+)++")
"""A JWS or JWE: base64url of a JSON object always begins so, whatever is joined to it in front.

It is looked for once in each run of its characters, and only in one with a dot behind. From each ``eyJ`` of a long run
anew, a line of a driver would hold up the daemon for seconds.
"""

_NIR = re.compile(
    r"(?<![0-9A-Za-z])[1-8][ .]?\d{2}[ .]?\d{2}[ .]?(?:\d{2}|2[AB])[ .]?\d{3}[ .]?\d{3}(?:[ .]?\d{2})?(?![0-9A-Za-z])"
)
"""13 or 15 characters, grouped or not; Corsica has letters."""

_HEX = re.compile(r"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{2}[ :]?){10,}(?![0-9A-Za-z])")
"""Ten bytes: a clear-zone field of interest (a NIR) has thirteen, a command header five."""

_BYTES = re.compile(r"""\bb(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
"""The repr of bytes."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""What begins a new line somewhere, or steers a terminal."""


def redact(text: str) -> str:
    """The text with everything that looks like personal data replaced by what it looked like."""
    text = _TOKEN.sub(r"\1[token]", text)
    text = _BYTES.sub("[bytes]", text)
    text = _NIR.sub("[nir]", text)
    return _HEX.sub("[data]", text)


def redact_exception(error: BaseException) -> str:
    """Type, frames and causes of an exception; texts only of our own errors."""
    parts = [_frames_of(error.__traceback__, error)]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    seen = {id(error)}
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        parts.append(_frames_of(cause.__traceback__, cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "; from ".join(parts)


def _frames_of(trace: TracebackType | None, error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    text = f" ({redact(str(error))})" if isinstance(error, VitaleError) else ""
    frames = [f"{frame.name} {frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(trace)]
    return f"{name}{text}" + (f" at {' > '.join(frames)}" if frames else "")


class RedactingFormatter(logging.Formatter):
    """A ``logging.Formatter`` whose output passed ``redact``; exceptions are told on the same line."""

    def format(self, record: logging.LogRecord) -> str:
        """The record on one line."""
        text = redact(record.getMessage())
        if record.exc_info and record.exc_info[1] is not None:
            text = f"{text}: {redact_exception(record.exc_info[1])}"
        return _CONTROL.sub(" ", text)
