"""docs/reference/errors.md: every error and warning with its title, cause and remedy in both languages."""

from collections.abc import Iterator

from docs.generator.markdown import GENERATED, anchor, prose, table
from vitale_protocol import catalogue
from vitale_protocol.errors import LocalError, VitaleError, concrete_errors

__all__ = ["page", "warnings"]

INTRODUCTION = """
On the wire an error is a JSON-RPC error object: `{code, message, data: {reason, variant, retryable, remedy, …}}`.
`message` is the title and `remedy` the remedy, both in the session's language. Programs look at `reason`, which never
changes its meaning. `variant` is there where more is known: the rows of an error's table that bear its name replace the
general ones. A later version may know more variants. `retryable` says whether the same call may succeed later without
anybody changing the request. An internal error carries `data.incident`, which names its entry in the daemon's log, and
no detail.

Errors whose code is *local* never travel. The SDK raises the class named here, a child of
`vitale_reader.VitaleError`. No error carries personal data.
"""

WARNINGS = """
A warning is a word in the claim `warnings` of a token: something is odd on the medium, and the token was issued all the
same.
"""

FINDINGS = """
What `vitale-reader doctor` and `diagnostics.run` find that is no error of a call. What stands in braces is what was
found, and is in `data` under that name. A finding without a cause says that something is as it should be.
"""


def warnings() -> list[str]:
    """The reasons of the catalogue that are not errors."""
    return sorted(catalogue.reasons() - {error.reason for error in concrete_errors()})


def texts(reason: str) -> str:
    """Renders the texts in both languages; a variant replaces those that it words better."""
    return table(("", "français", "English"), rows(reason))


def rows(reason: str) -> Iterator[tuple[str, str, str]]:
    """The lines of that table."""
    french, english = catalogue.text(reason, "fr"), catalogue.text(reason, "en")
    for part in ("title", "cause", "remedy"):
        yield part, getattr(french, part), getattr(english, part)
    for variant in sorted(catalogue.variants(reason)):
        better, gets = catalogue.text(reason, "fr", variant), catalogue.text(reason, "en", variant)
        for part in ("title", "cause", "remedy"):
            if getattr(better, part) != getattr(french, part):
                yield f"{part}, `{variant}`", getattr(better, part), getattr(gets, part)


def code(error: type[VitaleError]) -> str:
    """The code of an error on the wire.

    An error that never travels is local. One without a code keeps the sender's.
    """
    if issubclass(error, LocalError):
        return "local"
    return str(error.code) if error.code else "the sender's"


def retryable(error: type[VitaleError]) -> str:
    """Tells whether asking again can help, and for which variants it cannot."""
    lasting = ", ".join(f"`{variant}`" for variant in sorted(getattr(error, "LASTING", ())))
    return ("yes" if error.retryable else "") + (f"; not for {lasting}" if lasting else "")


def summary(errors: list[type[VitaleError]]) -> str:
    """All errors at a glance."""
    return table(
        ("code", "reason", "class", "retryable"),
        (
            (
                code(error),
                f"[`{error.reason}`](#{anchor(error.reason)})",
                f"`{error.__name__}`",
                retryable(error),
            )
            for error in errors
        ),
    )


def section(error: type[VitaleError]) -> str:
    """Renders the section of one error."""
    head = f"### `{error.reason}`\n\n`{error.__name__}`, code {code(error)}. {prose(error)}"
    return f"{head}\n\n{texts(error.reason)}"


def page() -> str:
    """Renders the page docs/reference/errors.md."""
    errors = list(concrete_errors())
    parts = [GENERATED, "# Errors and warnings", INTRODUCTION.strip(), summary(errors), "## Errors"]
    parts += [section(error) for error in errors]
    parts += ["## Warnings", WARNINGS.strip(), *(f"### `{reason}`\n\n{texts(reason)}" for reason in warnings())]
    parts += ["## Findings", FINDINGS.strip(), *(finding(name) for name in sorted(catalogue.findings()))]
    return "\n\n".join(parts) + "\n"


def finding(name: str) -> str:
    """Renders a finding of ``doctor``; what stands in braces is what was found."""
    rows = list[tuple[str, ...]]()
    for language in catalogue.LANGUAGES:
        entry = catalogue.finding(name, language)
        rows.append((language, entry.title, entry.cause, entry.remedy))
    return f"### `{name}`\n\n{table(('', 'title', 'cause', 'remedy'), rows)}"
