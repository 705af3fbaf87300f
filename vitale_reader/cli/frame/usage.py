"""Mistakes on the command line, told as any other error where a program asked for JSON."""

from collections.abc import Generator
from contextlib import contextmanager

import click

__all__ = ["mistakes_as_json"]


@contextmanager
def mistakes_as_json(wanted: bool) -> Generator[None]:
    """Prints click's own errors as JSON where that is wanted; else they go on as they are."""
    try:
        yield
    except click.UsageError as error:
        if not wanted:
            raise
        # Here: help is shown without loading it.
        from vitale_protocol.errors import LocalMisuse
        from vitale_reader.cli.frame import output

        output.report(LocalMisuse(error.format_message()), as_json=True)
        raise click.exceptions.Exit(error.exit_code) from error
