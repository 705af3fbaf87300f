"""The file ``copyright``: our licence, and that of each library in the environment, as its metadata tell."""

from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution

__all__ = ["copyright_of", "licence"]

HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vitale-reader
Comment: The environment holds libraries of others, unchanged, by the versions and hashes in .ci/locks. Their licences
 lie beside them, in the folders *.dist-info.

Files: *
Copyright: the vitale-reader contributors
License: Apache-2.0

License: Apache-2.0
 On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.
"""


def copyright_of(distributions: Iterable[Distribution]) -> str:
    """Text of the file, in Debian's machine-readable form, for an environment."""
    return "\n".join([HEAD, *_stanzas(distributions)])


def _stanzas(distributions: Iterable[Distribution]) -> Iterator[str]:
    for distribution in sorted(distributions, key=lambda one: _name(one).lower()):
        if (name := _name(distribution)) == "vitale-reader":
            continue
        tops = sorted(
            {file.parts[0] for file in distribution.files or () if file.parts[0] not in {"..", "__pycache__"}}
        )
        files = "\n       ".join(f"usr/lib/vitale-reader/lib/python3*/site-packages/{_place(top)}" for top in tops)
        yield (
            f"Files: {files}\n"
            f"Copyright: the authors of {name} {distribution.version}\n"
            f"License: {licence(distribution)}\n"
            f"Comment: {_told(distribution, 'Home-page') or _page(distribution) or name}\n"
        )


def _place(top: str) -> str:
    return top.replace(" ", "?") if "." in top and not top.endswith((".dist-info", ".libs")) else f"{top}/*"


def _name(distribution: Distribution) -> str:
    return str(distribution.metadata["Name"])


def _told(distribution: Distribution, field: str) -> str:
    """A field of the metadata; empty where it is not there."""
    values: list[str] = distribution.metadata.get_all(field) or []
    return next(iter(values), "")


def _page(distribution: Distribution) -> str:
    urls: list[str] = distribution.metadata.get_all("Project-URL") or []
    return next((url.partition(", ")[2] for url in urls), "")


def licence(distribution: Distribution) -> str:
    """A short name of the licence: its SPDX expression, else what the metadata say in one line.

    Raises:
        ValueError: the metadata tell none.
    """
    classifiers: list[str] = distribution.metadata.get_all("Classifier") or []
    classified = " and ".join(one.rpartition(" :: ")[2] for one in classifiers if one.startswith("License ::"))
    expression, told = _told(distribution, "License-Expression"), _told(distribution, "License")
    # Some put the whole text of the licence there.
    short = told if "\n" not in told else classified or told.splitlines()[0]
    if not (found := expression or (short or classified).replace(" ", "-")):
        raise ValueError(f"{_name(distribution)} tells no licence")
    return found
