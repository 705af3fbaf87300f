"""``vitale-reader native-host``: started by browsers, and by nobody else; a person is told so."""

import sys
from collections.abc import Sequence

from vitale_protocol.errors import LocalMisuse
from vitale_reader.web.native import host

__all__ = ["run"]


def run(arguments: Sequence[str]) -> None:
    """Carries the page of a browser.

    Args:
        arguments: those of the browser, with or without ``native-host`` before them: a manifest holds a path alone.
    """
    words = arguments[1:] if arguments[:1] == ["native-host"] else arguments
    try:
        host.main(words)
    except LocalMisuse as error:
        from vitale_reader.cli.frame import language, output
        from vitale_reader.cli.frame.exit_status import exit_status

        language.use(language.choose(list(words)))
        output.report(error, as_json=False)
        sys.exit(exit_status(error))
