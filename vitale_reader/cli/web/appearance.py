"""The appearance of a site to the person who decides: its name, the part that its owner registered, what is odd."""

from collections.abc import Collection

import click
from publicsuffixlist import PublicSuffixList

from vitale_protocol.web.lookalikes import Warned, warnings_of
from vitale_protocol.web.registration import unicode_form
from vitale_protocol.web.sites import Site
from vitale_reader.cli.frame.language import t

__all__ = ["emphasised", "registrable", "second_looks", "unicode_site"]


def registrable(site: Site) -> str:
    """The domain that the owner of a site registered; the whole host where no registry gave it."""
    # Only ICANN's part: whoever has a page at a provider of pages is told of the whole name.
    return PublicSuffixList(only_icann=True).privatesuffix(site.host) or site.host


def emphasised(site: Site) -> str:
    """The site as a terminal shows it: in the letters that a browser sends, the registered domain in bold type."""
    domain = registrable(site)
    before, _, behind = str(site).rpartition(domain)
    return f"{before}{click.style(domain, bold=True)}{behind}"


def unicode_site(site: Site) -> str:
    """The site as its owner writes it; empty where that is how browsers write it too."""
    form = unicode_form(site.host)
    return "" if form == site.host else str(site).replace(site.host, form)


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
