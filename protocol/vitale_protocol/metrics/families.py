"""Families of metrics as plain values, in the words of Prometheus' data model, and their form on the line.

Nothing here identifies anybody. A label is a word of the configuration or the program, never one from a medium or a
client.
"""

from typing import Literal

import msgspec

from vitale_protocol.documents import decode_document

__all__ = ["MOST_BYTES", "Distribution", "Families", "Family", "Sample", "read_families", "write_families"]

#: Bytes of all the figures on the line: a site with every driver and every medium takes some 60 000.
MOST_BYTES = 1_048_576


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """A figure, and the value of each label of its family."""

    labels: tuple[str, ...]
    value: float


class Distribution(msgspec.Struct, frozen=True, array_like=True):
    """Spread of a quantity over the buckets of its family.

    Attributes:
        labels: the value of each label of the family.
        counts: observations up to each bound of the family, and beyond the last; not cumulative.
        total: sum of what was observed.
    """

    labels: tuple[str, ...]
    counts: tuple[int, ...]
    total: float


class Family(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """All that is shown under one name.

    Attributes:
        name: without the suffix that Prometheus adds to counters.
        kind: of the metric.
        help: what it is, for people.
        labels: names of the labels.
        samples: of a gauge or a counter.
        bounds: of the buckets of a histogram, ascending.
        distributions: of a histogram.
    """

    name: str
    kind: Literal["gauge", "counter", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    samples: tuple[Sample, ...] = ()
    bounds: tuple[float, ...] = ()
    distributions: tuple[Distribution, ...] = ()


Families = tuple[Family, ...]


def write_families(families: Families) -> bytes:
    """The families as they go over the line."""
    return msgspec.json.encode(families)


def read_families(data: bytes) -> Families:
    """The families that came over the line.

    Raises:
        ParseError: the bytes are no such families.
    """
    return decode_document(data, Families)
