"""The command line: one file a group of commands, nothing imported before it is used.

For other rooms: ``main``, and no module.
"""

import io
import sys

__all__ = ["main"]


def main() -> None:
    """The installed command ``vitale-reader``."""
    from vitale_reader.cli.frame import language as text

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # an old code page has no tick and no arrow

    text.use(text.choose(sys.argv[1:]))
    from vitale_reader.cli.root import root

    root.main(prog_name="vitale-reader")
