"""Minutes without apCVs until earlier codes have expired: the option, and the local time at which they end."""

import time

import click

from vitale_reader.cli.frame.language import t

__all__ = ["apcv_after", "minute"]

#: Minutes without apCVs: usually, so that the codes of phones have ended, and at most.
USUAL_MINUTES, MOST_MINUTES = 60, 10_080

#: The option of whatever makes one forget which codes were used.
apcv_after = click.option(
    "--apcv-after",
    type=click.IntRange(0, MOST_MINUTES),
    default=USUAL_MINUTES,
    show_default=True,
    metavar="MINUTES",
    help=t(
        "Minutes sans apCV, si l’on ne sait plus quels codes ont servi.",
        "Minutes without apCV, where nobody knows which codes were used.",
    ),
)


def minute(until: float) -> str:
    """The local time at which apCVs are taken again."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(until))
