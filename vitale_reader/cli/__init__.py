"""The command line: one file a group of commands, nothing imported before it is used."""

import sys

__all__ = ["main"]


def main() -> None:
    """The installed command ``vitale-reader``."""
    from vitale_reader.cli import text

    text.use(text.choose(sys.argv[1:]))
    from vitale_reader.cli.root import root

    root.main(prog_name="vitale-reader")
