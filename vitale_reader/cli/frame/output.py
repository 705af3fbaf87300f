"""Output of commands: tables for people, columns for pipes, JSON for programs, errors as the catalogue has them."""

import errno
import os
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from vitale_protocol.errors import ConfigurationInvalid, LocalMisuse, VitaleError
from vitale_reader.cli.frame.fitting import colour, fits, longest_words, paragraph, records, terminal_width
from vitale_reader.cli.frame.language import language, t

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

__all__ = [
    "console",
    "discard_output",
    "escaped",
    "interactive",
    "lines",
    "mistake",
    "note",
    "print_json",
    "progress",
    "refused",
    "report",
    "table",
    "warning_text",
    "wrapped",
]

#: Control characters, line ends, invisible and direction marks, tags, bytes that are no text.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)

#: Columns between a name and its value.
_GAP = 2

#: Causes of a refusal by the system that have words of their own.
_VARIANTS: Final = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EROFS: "read_only",
    errno.EACCES: "no_access",
    errno.EPERM: "no_access",
}


def interactive(stream: Any = None) -> bool:
    """True if a person looks at the stream (standard output by default)."""
    return (sys.stdout if stream is None else stream).isatty()


def console(*, stderr: bool = False) -> "Console":
    """A rich console that leaves a broken pipe to the command's own frame."""
    from rich.console import Console

    class Honest(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    # rich takes NO_COLOR for the colours alone, and not for bold type.
    system: Literal["auto"] | None = None if colour() is False else "auto"
    return Honest(stderr=stderr, highlight=False, soft_wrap=False, color_system=system)


def print_json(value: object, *, pretty: bool = True) -> None:
    """One JSON document; one line of it where ``pretty`` is False."""
    import msgspec

    encoded = msgspec.json.encode(value)
    # Bytes: JSON is UTF-8 (RFC 8259 section 8.1), whatever the code page of the console or of a pipe.
    click.echo(msgspec.json.format(encoded, indent=2) if pretty else encoded)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str = "", empty: str = "") -> None:
    """A table where a person looks; else tab-separated lines without a head, for ``cut`` and ``awk``.

    On a terminal that is too narrow for it, each row is a record of several lines.
    """
    rows = [[escaped(cell) for cell in row] for row in rows]
    if not interactive():
        for row in rows:
            click.echo("\t".join(row))
        return
    if not rows and empty:
        click.echo(empty)
        return
    width = terminal_width(sys.stdout)
    if not fits([columns, *rows], width):
        for text in (*([title] if title else ()), *records(columns, rows, width, colon=_colon())):
            click.echo(text)
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    made = Table(title=title or None, title_justify="left", box=box.ROUNDED, header_style="bold")
    for column, longest in zip(columns, longest_words([columns, *rows]), strict=True):
        made.add_column(column, overflow="fold", min_width=longest)  # an id that is cut cannot be copied
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    console().print(made)


def lines(pairs: Iterable[tuple[str, str]]) -> None:
    """Names and values, one pair a line."""
    pairs = [(name, escaped(value)) for name, value in pairs]
    if not interactive():
        for name, value in pairs:
            click.echo(f"{name}\t{value}")
        return
    width = terminal_width(sys.stdout)
    names = max((len(name) for name, _ in pairs), default=0)
    if names + _GAP + max(longest_words(pairs or [("", "")])) > width:
        for name, value in pairs:
            click.echo(paragraph(f"{name}{_colon()}{value}", width, hanging="  "))
        return
    from rich.table import Table
    from rich.text import Text

    made = Table.grid(padding=(0, _GAP))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in pairs:
        made.add_row(name, Text(value))
    console().print(made)


def escaped(text: str) -> str:
    """Writes what a terminal would not show, or would obey, as escapes; names come from others."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text.replace("\t", " "))


def note(message: str) -> None:
    """A remark beside the output proper."""
    click.echo(message, err=True)


@contextmanager
def progress(message: str) -> "Generator[Callable[[str], None], None, None]":
    """Shows, on standard error, what is being waited for; gives a function that changes the message."""
    if not interactive(sys.stderr):
        note(message)
        yield note
        return
    with console(stderr=True).status(message, spinner="dots") as status:
        yield status.update


def refused(error: OSError) -> LocalMisuse:
    """The error of the catalogue for what the system refused."""
    detail = f"{error.strerror or type(error).__name__}{f': {error.filename}' if error.filename else ''}"
    return LocalMisuse(detail, variant=_VARIANTS.get(error.errno or 0, ""))


def report(error: VitaleError, *, as_json: bool, pretty: bool = True) -> None:
    """Title, cause and remedy of an error: for people on standard error, for programs as JSON on standard output."""
    title, cause, remedy = _texts(error)
    if as_json:
        named = {"reason": error.reason, **({"variant": error.variant} if error.variant else {})}
        texts = {**named, "message": title, "cause": cause, "remedy": remedy}
        details = {**texts, "code": error.code, "detail": error.detail, "retryable": error.retryable}
        where = {"data": error.data} if isinstance(error, ConfigurationInvalid) else {}
        if _is_printed({"error": {**details, **where}}, pretty=pretty):
            return
    click.echo(click.style(wrapped(title, err=True), fg="red", bold=True), err=True)
    if cause:
        click.echo(wrapped(cause, "  ", err=True), err=True)
    if error.detail:
        click.echo(click.style(wrapped(error.detail, "  ", err=True), dim=True), err=True)
    for line in mistake(error.data) if isinstance(error, ConfigurationInvalid) else facts(error.data):
        click.echo(wrapped(line, "  ", err=True), err=True)
    if remedy:
        click.echo(wrapped(f"→ {remedy}", "  ", "    ", err=True), err=True)


def _is_printed(value: object, *, pretty: bool) -> bool:
    """Prints JSON, unless standard output itself is what fails: then people's words on standard error are left."""
    try:
        print_json(value, pretty=pretty)
    except BrokenPipeError:
        raise
    except OSError:
        discard_output()
        return False
    return True


def wrapped(text: str, indent: str = "", hanging: str = "", *, err: bool = False) -> str:
    """The text in lines of the terminal's width; a pipe gets one line, for ``grep``."""
    stream = sys.stderr if err else sys.stdout
    return paragraph(text, terminal_width(stream), indent, hanging) if interactive(stream) else indent + text


def mistake(data: Mapping[str, Any]) -> Iterator[str]:
    """Describes a mistake in the configuration: its place, and the values allowed there."""
    if "file" in data:
        line = f", {t('ligne', 'line')} {data['line']}" if "line" in data else ""
        yield t(f"Fichier : {data['file']}{line}", f"File: {data['file']}{line}")
    if data.get("path", "$") != "$":  # which is the file as a whole
        yield t(f"Réglage : {data['path']}", f"Setting: {data['path']}")
    if "nearest" in data:
        yield t(f"Vouliez-vous dire « {data['nearest']} » ?", f"Did you mean “{data['nearest']}”?")
    if data.get("choices"):
        choices = ", ".join(str(choice) for choice in data["choices"])
        yield t(f"Valeurs possibles : {choices}", f"Possible values: {choices}")


def facts(data: Mapping[str, Any]) -> Iterator[str]:
    """Names the facts of an error for a person: a parameter, a status word, a process, a tool."""
    known = {
        "path": t("Paramètre", "Parameter"),
        "sw": t("Mot d’état", "Status word"),
        "pid": t("Processus", "Process"),
        "tool": t("Il manque", "Missing"),
        "holder": t("Occupé par", "Held by"),
    }
    for name, label in known.items():
        if data.get(name):
            yield f"{label}{_colon()}{escaped(str(data[name]))}"


def warning_text(reason: str) -> str:
    """A warning of a token in words; the bare reason where it is newer than this program."""
    from vitale_protocol import catalogue

    try:
        return catalogue.text(reason, language()).title
    except KeyError:
        return reason


def discard_output() -> None:
    """Sends what is still buffered nowhere, after the reader of a pipe went away or its disk was full."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _colon() -> str:
    return t("\N{NO-BREAK SPACE}: ", ": ")


def _texts(error: VitaleError) -> tuple[str, str, str]:
    words = error.words(language())
    return words.title, words.cause, words.remedy
