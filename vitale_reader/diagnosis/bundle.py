"""The file for support: the report, the configuration with its secrets masked, the log, the last errors, the versions.

Everything in it goes through the one redaction of logs, whatever wrote it, and through the masking of secrets. The home
folder and the name of this machine's user are taken out too. A person sees the list (``Content``) before it is written.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, cast

import msgspec

from vitale_drivers.host.redaction import redact
from vitale_protocol.diagnosis.findings import Finding
from vitale_protocol.errors import ConfigurationInvalid
from vitale_reader.daemon.config import load, shown
from vitale_reader.daemon.log_output import log_files
from vitale_reader.daemon.secret_settings import masked_text
from vitale_reader.diagnosis.machine import InspectedMachine
from vitale_reader.home import Home

__all__ = ["Content", "Kind", "contents", "packed"]

#: The most that is taken of one file of the log.
MOST_BYTES = 4_000_000

#: The newest lines that tell of trouble.
LAST_ERRORS = 200

_TROUBLE = re.compile(r"^\S+Z (?:WARNING|ERROR|CRITICAL)\b")

#: What a content is about; the words are the command line's.
Kind = str


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the bundle.

    Attributes:
        name: in the bundle.
        kind: ``report``, ``findings``, ``configuration``, ``log``, ``errors`` or ``versions``.
        text: all of it, redacted.
    """

    name: str
    kind: Kind
    text: str


def contents(
    home: Home, findings: Sequence[Finding], machine: InspectedMachine | None = None, *, most: int = MOST_BYTES
) -> tuple[Content, ...]:
    """Gathers what goes into the bundle.

    Args:
        home: of the station.
        findings: the report.
        machine: the one that was looked at, unless it is this one.
        most: bytes that are taken of one file of the log.
    """
    discreet = _Discreet(machine or InspectedMachine())
    logs = [(file.name, discreet.text(_end_of(file, most))) for file in log_files(home.state)]
    plain = msgspec.to_builtins(list(findings))
    made = [
        Content(name="report.txt", kind="report", text="\n".join(_told(discreet.value(plain)))),
        Content(name="findings.json", kind="findings", text=_json(discreet.value(plain))),
        Content(name="configuration.json", kind="configuration", text=_json(discreet.value(_settings(home)))),
        Content(name="versions.txt", kind="versions", text="\n".join(_versions())),
        *(Content(name=f"log/{name}", kind="log", text=text) for name, text in logs),
    ]
    trouble = [line for _, text in logs for line in text.splitlines() if _TROUBLE.match(line)]
    if trouble:
        made.append(Content(name="errors.txt", kind="errors", text="\n".join(trouble[-LAST_ERRORS:])))
    return tuple(made)


def packed(made: Sequence[Content]) -> bytes:
    """Packs the contents into the archive that is sent."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for content in made:
            archive.writestr(content.name, content.text)
    return stream.getvalue()


class _Discreet:
    """Takes out of texts what is nobody's business: personal data, and who uses this machine."""

    def __init__(self, machine: InspectedMachine) -> None:
        self._folder = machine.environ.get("HOME") or machine.environ.get("USERPROFILE") or ""
        named = len(machine.user) > 2 and machine.user != "root"
        self._user = re.compile(rf"\b{re.escape(machine.user)}\b") if named else None

    def text(self, text: str) -> str:
        """A text, each line redacted."""
        return "\n".join(self._line(line) for line in text.splitlines())

    def value(self, value: Any) -> Any:
        """Plain values, as of JSON, with every text in them redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {name: self.value(one) for name, one in cast("Mapping[str, Any]", value).items()}
        if isinstance(value, list | tuple):
            return [self.value(one) for one in cast("Sequence[Any]", value)]
        return value

    def _line(self, line: str) -> str:
        line = redact(masked_text(line))
        if len(self._folder) > 1:
            line = line.replace(self._folder, "~")
        return line if self._user is None else self._user.sub("[user]", line)


def _told(findings: list[dict[str, Any]]) -> Iterator[str]:
    signs = {"ok": "✓", "note": "·", "wrong": "✗"}
    for finding in findings:
        detail = f" ({finding['detail']})" if finding.get("detail") else ""
        yield f"{signs[finding['state']]} {finding['title']}{detail}"
        for part in ("cause", "remedy"):
            if finding.get(part):
                yield f"    {finding[part]}"


def _settings(home: Home) -> Any:
    """The settings, masked; where they cannot be used only why, since the text may hold secrets."""
    try:
        return shown(load(home.config))
    except ConfigurationInvalid as error:
        return {"refused": error.detail, "data": dict(error.data)}


def _versions() -> Iterator[str]:
    """Everything that is installed beside us: what a library does depends on others."""
    for one in sorted(metadata.distributions(), key=lambda one: one.name.lower()):
        yield f"{one.name} {one.version}"


def _end_of(file: Path, most: int) -> str:
    try:
        content = file.read_bytes()
    except OSError:
        return ""
    return content[-most:].decode(errors="replace")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
