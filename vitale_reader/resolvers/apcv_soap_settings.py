"""The settings of the resolver ``apcv-soap``, checked once, and what is made of them: trust, proxy, plug-ins.

``apcv_soap`` documents each.
"""

import ipaddress
import re
import ssl
from collections.abc import Mapping
from typing import Annotated, Literal

import httpx
import msgspec

from vitale_protocol.configuration.settings import convert_settings
from vitale_protocol.errors import (
    ConfigurationInvalid,
)
from vitale_reader.resolvers import envelope
from vitale_reader.resolvers.licensed_plugins import (
    ASSERTIONS,
    INVOICES,
    RIGHTS,
    AssertionProvider,
    InvoiceForm,
    RightsReader,
)
from vitale_reader.resolvers.registry import load_class

__all__ = [
    "ApcvSoapSettings",
    "Meaning",
    "SigningSettings",
    "assertion_provider",
    "invoice_form",
    "proxy",
    "read_settings",
    "require_safe",
    "rights_reader",
    "sender",
    "trust",
]

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Meaning = Literal[
    "expired",
    "used",
    "context",
    "assertion",
    "revoked",
    "suspended",
    "delegation",
    "unknown",
    "refused",
    "unavailable",
]

#: A name of an element, without a prefix.
NAME = r"[^\W\d][\w.-]*"


class SigningSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``signing`` of ``[apcv.options]``; ``url`` is the one of the contexts where it is not told."""

    form: Text
    form_options: dict[str, object] = {}
    url: Annotated[str, msgspec.Meta(min_length=8, max_length=2_000)] | None = None
    shape: envelope.SigningShape = envelope.SigningShape()


class ApcvSoapSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[apcv.options]``, as this module documents it."""

    url: Annotated[str, msgspec.Meta(min_length=8, max_length=2_000)]
    assertion: Text
    assertion_options: dict[str, object] = {}
    rights: Text | None = None
    rights_options: dict[str, object] = {}
    identifiant_facturation: Text
    code_specialite: Text
    emetteur: Text
    idam: Text
    lps_nom: Text
    lps_version: Text
    lps_instance: Text
    origin: Literal["production", "test", "unknown"] = "unknown"
    donnees: Literal["text", "base64"] = "text"
    ca_file: str | None = None
    certificate: str | None = None
    key: str | None = None
    proxy: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None
    shape: envelope.Shape = envelope.PUBLISHED
    codes: dict[str, Meaning] = {}
    signing: SigningSettings | None = None


def read_settings(options: Mapping[str, object]) -> ApcvSoapSettings:
    """The settings, with the names that a shape gives to elements looked at.

    Raises:
        ConfigurationInvalid: something in them is not as this module documents it.
    """
    settings = convert_settings(options, ApcvSoapSettings, table="apcv.options")
    for name, other in settings.shape.names.items():
        path = f"apcv.options.shape.names.{name}"
        if name not in envelope.NAMES:
            raise ConfigurationInvalid(f"a request has no element {name}", data={"path": path})
        if not re.fullmatch(NAME, other):
            raise ConfigurationInvalid("this is not the name of an element", data={"path": path})
    return settings


def require_safe(url: str, path: str) -> None:
    """Strings and contexts travel encrypted, unless they do not leave the machine.

    Raises:
        ConfigurationInvalid: they would.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ConfigurationInvalid("this is not a URL", data={"path": path}) from error
    safe = parsed.scheme == "https" or (parsed.scheme == "http" and _is_local(parsed.host))
    if not parsed.host or parsed.userinfo or not safe:
        raise ConfigurationInvalid("the service is reached by https", data={"path": path})


def _is_local(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def trust(settings: ApcvSoapSettings) -> ssl.SSLContext:
    """Authorities of the service, and the certificate that the desk shows to it.

    Raises:
        ConfigurationInvalid: a file cannot be read, or does not fit the other.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationInvalid("the authorities cannot be read", data={"path": "apcv.options.ca_file"}) from error
    # As Python has it by itself from 3.13 on: what a desk trusts is no matter of its Python.
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    if settings.key and not settings.certificate:
        raise ConfigurationInvalid("a key without its certificate", data={"path": "apcv.options.certificate"})
    if settings.certificate:
        try:
            # No password is asked for at a terminal that a daemon does not have: such a key is refused.
            context.load_cert_chain(settings.certificate, settings.key, password="")
        except (OSError, ssl.SSLError) as error:
            raise ConfigurationInvalid(
                "the certificate and its key cannot be read, or are not of each other",
                data={"path": "apcv.options.certificate"},
            ) from error
    return context


def proxy(settings: ApcvSoapSettings) -> httpx.Proxy | None:
    """The proxy on the way to the service, if there is one.

    Raises:
        ConfigurationInvalid: this is not the URL of one.
    """
    if settings.proxy is None:
        return None
    try:
        parsed = httpx.URL(settings.proxy)
        if parsed.scheme in {"http", "https"} and parsed.host:
            return httpx.Proxy(parsed)
    except (httpx.InvalidURL, ValueError):
        pass  # its text quotes the URL, which may contain a password
    raise ConfigurationInvalid("this is not the URL of a proxy", data={"path": "apcv.options.proxy"})


def assertion_provider(settings: ApcvSoapSettings) -> AssertionProvider:
    """The plug-in that gives the assertions.

    Raises:
        ConfigurationInvalid: there is none of this name, or it is something else.
    """
    path = "apcv.options.assertion"
    found = load_class(ASSERTIONS, settings.assertion, path)
    made: AssertionProvider = found(settings.assertion_options)
    if not callable(getattr(made, "assertion", None)) or not isinstance(getattr(made, "simulated", None), bool):
        raise ConfigurationInvalid(f"{settings.assertion} is not an assertion provider", data={"path": path})
    return made


def rights_reader(settings: ApcvSoapSettings) -> RightsReader | None:
    """The plug-in that reads rights, if one is named.

    Raises:
        ConfigurationInvalid: there is none of this name, or it is something else.
    """
    if settings.rights is None:
        return None
    path = "apcv.options.rights"
    found = load_class(RIGHTS, settings.rights, path)
    made = found(settings.rights_options)
    if not isinstance(made, RightsReader):
        raise ConfigurationInvalid(f"{settings.rights} reads no rights", data={"path": path})
    return made


def invoice_form(signing: SigningSettings | None) -> InvoiceForm | None:
    """The plug-in that knows the form of invoices, if one is named.

    Raises:
        ConfigurationInvalid: there is none of this name, or it is something else.
    """
    if signing is None:
        return None
    if signing.url is not None:
        require_safe(signing.url, "apcv.options.signing.url")
    if not re.fullmatch(NAME, signing.shape.request):
        path = "apcv.options.signing.shape.request"
        raise ConfigurationInvalid("this is not the name of an element", data={"path": path})
    path = "apcv.options.signing.form"
    found = load_class(INVOICES, signing.form, path)
    made = found(signing.form_options)
    if not isinstance(made, InvoiceForm):
        raise ConfigurationInvalid(f"{signing.form} is no form of invoices", data={"path": path})
    return made


def sender(settings: ApcvSoapSettings) -> envelope.Sender:
    """The sender of every request."""
    return envelope.Sender(
        identifiant_facturation=settings.identifiant_facturation,
        code_specialite=settings.code_specialite,
        emetteur=settings.emetteur,
        idam=settings.idam,
        lps_nom=settings.lps_nom,
        lps_version=settings.lps_version,
        lps_instance=settings.lps_instance,
    )
