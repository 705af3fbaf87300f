"""Usage errors as JSON where a program asked for it, and an orderly end where help cannot be written."""

from collections.abc import Generator
from contextlib import contextmanager

import click

__all__ = ["help_in_order", "mistakes_as_json"]


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


@contextmanager
def help_in_order() -> Generator[None]:
    """Ends as a command does where what click itself prints, help or a version, cannot be written."""
    try:
        yield
    except OSError as error:
        # Here: help is shown without loading it.
        from vitale_reader.cli.frame import exit_status, output

        output.discard_output()
        if isinstance(error, BrokenPipeError):
            raise click.exceptions.Exit(exit_status.BROKEN_PIPE) from error
        output.report(output.refused(error), as_json=False)
        raise click.exceptions.Exit(exit_status.USAGE) from error
