"""The identity of a site for the person who decides: its name, its registered domain, and warnings."""

from collections.abc import Collection

import click

from vitale_protocol.web.lookalikes import Warned, warnings_of
from vitale_protocol.web.sites import Site
from vitale_reader.cli.frame.language import t
from vitale_reader.daemon.web.site_identity import registrable, unicode_site

__all__ = ["emphasised", "registrable", "second_looks", "unicode_site"]


def emphasised(site: Site) -> str:
    """The site as a terminal shows it: spelt as a browser sends it, the registered domain in bold."""
    domain = registrable(site)
    before, _, behind = str(site).rpartition(domain)
    return f"{before}{click.style(domain, bold=True)}{behind}"


def second_looks(site: Site, paired: Collection[Site], seen: Collection[Site]) -> list[str]:
    """Reasons to look twice at the name of a site, in the language of the command."""
    words: dict[Warned, str] = {
        "mixed_scripts": t(
            "Ce nom mêle des lettres de plusieurs alphabets : il peut en imiter un autre.",
            "This name mixes letters of several scripts: it may imitate another one.",
        ),
        "near_paired": t(
            "Ce nom ressemble à celui d’un site déjà appairé, sans être le même.",
            "This name looks like that of a site that is paired, and is another one.",
        ),
        "first_seen": t(
            "Ce site n’a encore jamais été appairé à ce poste.", "This site was never paired with this desk before."
        ),
    }
    return [words[warned] for warned in warnings_of(site, paired, seen)]
