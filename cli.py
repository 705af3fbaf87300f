"""Launcher for a checkout (``python cli.py``); not installed: the installed command is ``vitale-reader``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def launch() -> None:
    """Runs the command line from this tree, whatever is installed."""
    if sys.version_info < (3, 11):  # noqa: UP036  a checkout is run by whatever Python there is
        sys.exit("Python 3.11 ou plus récent est nécessaire / Python 3.11 or newer is needed")
    sys.path[:0] = [str(ROOT), *(str(ROOT / folder) for folder in ("protocol", "drivers", "firmware-sim"))]
    from vitale_reader.cli import main  # noqa: PLC0415  found in the tree only now

    main()


if __name__ == "__main__":
    launch()
