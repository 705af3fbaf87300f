"""The command line: one file a group of commands, nothing imported before it is used.

For other rooms: ``main``, and no module.
"""

import io
import os
import sys

__all__ = ["BASE", "main"]

BASE = frozenset({"click", "cryptography", "joserfc", "msgspec", "platformdirs", "rich"})
"""The packages without which no command works."""


def main() -> None:
    """The installed command ``vitale-reader``."""
    if sys.argv[1:2] == ["worker"]:  # what a frozen program starts its drivers with, since it has no ``-m``
        from vitale_drivers.host import worker

        worker.main(sys.argv[2:])
    if sys.argv[1:2] == ["gateway"]:  # likewise
        from vitale_reader.web import gateway

        gateway.main(sys.argv[2:])
    if sys.argv[1:2] == ["dashboard-gateway"]:  # likewise; ``dashboard`` is a command for people
        from vitale_reader.web.dashboard import process

        process.main(sys.argv[2:])
    if sys.argv[1:2] == ["exporter"]:  # likewise
        from vitale_reader.metrics import exporter

        exporter.main(sys.argv[2:])
    if sys.argv[1:] == ["diagnosis"]:  # likewise, for a daemon that is asked to look at its desk
        from vitale_reader.diagnosis import __main__ as diagnosis

        return diagnosis.main()
    if sys.argv[1:2] == ["native-host"] or _is_started_by_a_browser(sys.argv[1:]):
        from vitale_reader.cli.web import native_host

        return native_host.run(sys.argv[1:])
    from vitale_reader.cli.frame import language as text

    _have_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old code page has no tick and no arrow

    text.use(text.choose(sys.argv[1:]))
    try:
        from vitale_reader.cli.root import root

        root.main(prog_name="vitale-reader")
    except ModuleNotFoundError as error:
        if error.name not in BASE:
            raise
        print(_not_installed(error.name), file=sys.stderr)
        sys.exit(1)


def _is_started_by_a_browser(arguments: list[str]) -> bool:
    """True for the words with which browsers start the program of a manifest, which names a path alone."""
    first = arguments[0] if arguments else ""
    if not first.startswith("chrome-extension:") and not first.endswith(".json"):
        return False
    from vitale_protocol.web import extensions

    return extensions.is_call(arguments)


def _have_streams() -> None:
    """Opens standard streams where the system gave none, as to ``pythonw`` and to tasks at logon."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, io.TextIOWrapper(io.FileIO(os.devnull, mode), encoding="utf-8", write_through=True))


def _not_installed(package: str) -> str:
    """Explains the installation, when run from the sources on a Python without the dependencies."""
    from vitale_reader.cli.frame.language import t

    return t(
        f"vitale-reader n’est pas installé pour ce Python\N{NO-BREAK SPACE}: il manque {package}.\n"
        "  → Dans le dossier des sources, lancez `make demo`, qui installe tout sous Debian\N{NARROW NO-BREAK SPACE}; "
        "ailleurs, `python -m pip install .`, puis `vitale-reader`.",
        f"vitale-reader is not installed for this Python: {package} is missing.\n"
        "  → In the folder of the sources run `make demo`, which installs everything on Debian; "
        "elsewhere `python -m pip install .`, then `vitale-reader`.",
    )
