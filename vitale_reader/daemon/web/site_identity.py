"""The identity of a site for the person who decides: its name, its registered part, what is odd."""

from collections.abc import Iterable

from publicsuffixlist import PublicSuffixList

from vitale_protocol.errors import ParseError
from vitale_protocol.methods import ClientSummary, StationMode
from vitale_protocol.web.lookalikes import Warned, warnings_of
from vitale_protocol.web.registration import unicode_form
from vitale_protocol.web.sites import Site, parse_site

__all__ = ["registrable", "second_looks", "unicode_site"]


def registrable(site: Site) -> str:
    """The domain that the owner of a site registered; the whole host where no registry gave it."""
    # Only ICANN's part: whoever has a page at a provider of pages is told of the whole name.
    return PublicSuffixList(only_icann=True).privatesuffix(site.host) or site.host


def unicode_site(site: Site) -> str:
    """The site as its owner writes it; empty where that is how browsers write it too."""
    form = unicode_form(site.host)
    return "" if form == site.host else str(site).replace(site.host, form)


def second_looks(site: Site, clients: Iterable[ClientSummary], mode: StationMode) -> tuple[Warned, ...]:
    """Reasons to look twice at the name of a site.

    Args:
        site: that asks.
        clients: those that are, or were, paired here.
        mode: of the station.
    """
    others = [(other, each) for each in clients if (other := _site(each.site, mode)) is not None]
    return warnings_of(
        site, [other for other, each in others if each.revoked_at is None], [other for other, _ in others]
    )


def _site(text: str | None, mode: StationMode) -> Site | None:
    """The site of a client; None if it is no page, or of the station's former mode."""
    try:
        return parse_site(text or "", mode)
    except ParseError:
        return None
