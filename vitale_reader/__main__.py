"""``python -m vitale_reader``: the command line, where the installed command is not on the path."""

from vitale_reader.cli import main

main()
