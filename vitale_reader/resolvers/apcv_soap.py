"""The resolver ``apcv-soap``: the apCV authentication service of the GIE SESAM-Vitale, in the shape that is public.

It was never tried against the real service: that needs a CPS, a referenced software (IDAM) and a licence, which the
site brings. The public parts of the service are its actions, its namespaces and the members of its context. The others
(its fault codes, the format of rights) are configured, or read by a plug-in.

``[apcv.options]``::

    url = "https://…"                        # https; http for this machine only (the simulated service)
    assertion = "NAME"                       # a plug-in of vitale_reader.assertions: a CPS signs
    assertion_options = {}                   # for it
    rights = "NAME"                          # a plug-in of vitale_reader.rights; without it the record stays empty
    rights_options = {}                      # for it
    identifiant_facturation = "123456789"    # of the practitioner, with its key
    code_specialite = "50"                   # code spécialité AMO
    emetteur = "…"                           # of ContexteLPS
    idam = "…"                               # the IDAM number of the software
    lps_nom = "…"                            # its name, its version and the instance of it
    lps_version = "…"
    lps_instance = "…"
    origin = "production"                    # or "test": what kind of service this is; "unknown" if not told
    donnees = "text"                         # or "base64": how the string is written into Donnees
    ca_file = "/path"                        # trusted instead of the system's authorities
    certificate = "/path"                    # of the site, for a service that asks for one; PEM
    key = "/path"                            # its private key, where it is in a file of its own
    proxy = "http://proxy.example:3128"      # the way to the service; none is taken from the environment
    shape = { namespace = "…" }              # of another version: namespace, action, names, version, restore,
                                             # date_form (envelope.Shape)
    signing = { form = "NAME" }              # signs invoices: a plug-in of vitale_reader.invoices, its form_options,
                                             # url where it is another one, shape (envelope.SigningShape)
    codes = { CODE = "expired" }             # the service's fault codes: expired, used, context, assertion, revoked,
                                             # suspended, delegation, unknown, unavailable; else refused
"""

import base64
import datetime as dt
import http.cookiejar
import ipaddress
import re
import ssl
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import httpx
import msgspec

from vitale_protocol.configuration.settings import convert_settings
from vitale_protocol.errors import (
    ConfigurationInvalid,
    ContextUnknown,
    MediumExpired,
    PayloadInvalid,
    Replayed,
    ResolverRefused,
    ResolverUnavailable,
    VitaleError,
)
from vitale_protocol.records import Origin
from vitale_reader.resolvers import envelope, simulator_rights
from vitale_reader.resolvers.base import Resolution, Resolver, Signature
from vitale_reader.resolvers.exchange import post, probe
from vitale_reader.resolvers.licensed_plugins import (
    ASSERTIONS,
    INVOICES,
    RIGHTS,
    AssertionProvider,
    Element,
    InvoiceForm,
    Rights,
    RightsReader,
)
from vitale_reader.resolvers.registry import load_class

__all__ = ["ApcvSoapResolver", "ApcvSoapSettings", "SigningSettings"]

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

#: Seconds to reach the service. Shorter than a call may take, so that a call that never got there is known as such.
CONNECT = 4.0
#: A name of an element, without a prefix.
NAME = r"[^\W\d][\w.-]*"
#: A context that lived longer would be no context: half an hour is what is known of them.
LONGEST_LIFE = dt.timedelta(days=1)

#: The codes of the project's own simulated service. Those of the real one are not public.
SIMULATOR_CODES: dict[str, Meaning] = {
    "ASSERTION_MISSING": "assertion",
    "STRING_EXPIRED": "expired",
    "STRING_USED": "used",
    "STRING_UNKNOWN": "unknown",
    "APPLICATION_REVOKED": "revoked",
    "RIGHTS_SUSPENDED": "suspended",
    "DELEGATION_ENDED": "delegation",
    "CONTEXT_UNKNOWN": "context",
}


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


class ApcvSoapResolver(Resolver):
    """Resolver that calls the apCV service by SOAP."""

    name = "apcv-soap"
    reach = CONNECT
    announces = True

    _settings: ApcvSoapSettings
    _client: httpx.AsyncClient
    _assertions: AssertionProvider
    _rights: RightsReader | None
    _form: InvoiceForm | None = None

    @property
    def signs(self) -> bool:
        """True if it is open, and has a form of invoices."""
        return self._form is not None

    async def open(self) -> None:
        """Checks the options and loads the plug-ins.

        Raises:
            ConfigurationInvalid: an option cannot be used, or not in this station's mode.
            ToolMissing: a plug-in cannot be imported.
        """
        self._settings = settings = _settings(self.options)
        _require_safe(settings.url, "apcv.options.url")
        self._assertions = _provider(settings)
        self._rights = _rights_reader(settings)
        self._form = _invoice_form(settings.signing)
        simulated = [each.simulated for each in (self._assertions, self._rights, self._form) if each is not None]
        if any(simulated) and self.mode != "simulated":
            raise ConfigurationInvalid(
                f"a plug-in of the simulated service, and the station is in mode {self.mode}",
                data={"path": "apcv.options"},
            )
        if settings.origin == "test" and self.mode == "production":
            raise ConfigurationInvalid("a test service in production", data={"path": "apcv.options.origin"})
        self._client = httpx.AsyncClient(
            verify=_trust(settings),
            proxy=_proxy(settings),
            timeout=httpx.Timeout(None, connect=CONNECT),
            follow_redirects=False,
            # Neither proxies nor passwords (netrc) from the environment.
            trust_env=False,
            # Cookies would tie the calls about one patient to those about the next.
            cookies=http.cookiejar.CookieJar(http.cookiejar.DefaultCookiePolicy(allowed_domains=())),
            # No connection is kept: one that the service has closed meanwhile fails after the string was sent.
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def probe(self) -> str:
        """Asks for the address without a request in it: any answer shows that the service is there.

        Raises:
            ResolverUnavailable: nobody answers; the variant says at which step it ended.
        """
        await probe(self._client, self._settings.url)
        return httpx.URL(self._settings.url).host

    async def close(self) -> None:
        """Ends the connections to the service."""
        await self._client.aclose()

    async def resolve(self, string: bytes, *, nonce: str) -> Resolution:
        """``authentifierUtilisateurProximite``; the service knows no nonce.

        A context that cannot be used, since a plug-in fails or the answer is odd, is released.
        """
        answer = await self._call(envelope.AUTHENTICATE, self._donnees(string))
        try:
            return self._resolution(answer)
        except Exception:
            if answer.identifiant:
                await self.let_go(answer.identifiant)
            raise

    async def restore(self, identifiant: str) -> Resolution:
        """Restores a context by ``restituerContexteApCV``."""
        return self._resolution(await self._call(envelope.RESTORE, identifiant))

    async def release(self, identifiant: str) -> None:
        """Releases a context by ``detruireContexteApCV``."""
        await self._call(envelope.RELEASE, identifiant)

    async def sign(self, identifiant: str, invoice: bytes) -> Signature:
        """Signs by ``signerVitale``, in the form of the plug-in."""
        signing = self._settings.signing
        if signing is None or self._form is None:
            return await super().sign(identifiant, invoice)
        elements, shape = self._form.write(invoice), signing.shape
        url = signing.url or self._settings.url
        received, message_id = await self._post(
            url,
            shape.action + envelope.SIGN,
            lambda message_id, assertion: envelope.build_signing(
                _request(envelope.SIGN, identifiant, message_id, url),
                _sender(self._settings),
                assertion,
                elements,
                shape,
            ),
        )
        body = envelope.parse_body(received, message_id)
        if isinstance(body, envelope.Fault):
            raise self._refusal(body)
        origin = "simulated" if self._form.simulated or _is_simulated(body) else self._settings.origin
        return Signature(content=self._form.read(body), origin=origin)

    async def _call(self, operation: str, value: str) -> envelope.ServiceAnswer:
        settings = self._settings
        received, message_id = await self._post(
            settings.url,
            settings.shape.action + operation,
            lambda message_id, assertion: envelope.build(
                _request(operation, value, message_id, settings.url), _sender(settings), assertion, settings.shape
            ),
        )
        answer = envelope.parse(received, message_id, settings.shape)
        if isinstance(answer, envelope.Fault):
            raise self._refusal(answer)
        return answer

    async def _post(self, url: str, action: str, build: Callable[[str, bytes], bytes]) -> tuple[bytes, str]:
        """Posts the envelope that is built with a message's name and an assertion; the answer, and that name."""
        try:
            assertion = await self._assertions.assertion()
        except VitaleError as error:
            error.data.setdefault("sent", False)
            raise
        message_id = f"urn:uuid:{uuid.uuid4()}"
        return await post(self._client, url, build(message_id, assertion), action), message_id

    def _refusal(self, fault: envelope.Fault) -> VitaleError:
        return _refusal(fault, SIMULATOR_CODES | self._settings.codes)

    def _donnees(self, string: bytes) -> str:
        if self._settings.donnees == "base64":
            return base64.b64encode(string).decode()
        try:
            return string.decode()
        except UnicodeDecodeError:
            pass  # its text quotes the string
        raise PayloadInvalid("the string is not text; see the option donnees", data={"sent": False})

    def _resolution(self, answer: envelope.ServiceAnswer) -> Resolution:
        ends = answer.date_fin_validite
        if ends is None:
            raise ResolverUnavailable("an answer without a whole context", variant="unreadable")
        if ends > dt.datetime.now(dt.UTC) + LONGEST_LIFE:
            raise ResolverUnavailable("a context that would never end", variant="unreadable")
        rights = self._rights.read(answer.body) if self._rights else Rights()
        return Resolution(
            identifiant=answer.identifiant,
            token=answer.token,
            date_fin_validite=ends,
            record=rights.record,
            delegate=rights.delegate,
            rights_at=rights.rights_at,
            origin=self._origin(answer, rights),
        )

    def _origin(self, answer: envelope.ServiceAnswer, rights: Rights) -> Origin:
        """Returns the origin: simulated if the service declares it, else as configured."""
        if rights.origin == "simulated" or _is_simulated(answer.body):
            return "simulated"
        return rights.origin if rights.origin != "unknown" else self._settings.origin


def _is_simulated(body: Element) -> bool:
    return body.find(f".//{{{simulator_rights.NAMESPACE}}}*") is not None


def _request(operation: str, value: str, message_id: str, url: str) -> envelope.ContextRequest:
    return envelope.ContextRequest(
        operation=operation, value=value, message_id=message_id, at=dt.datetime.now(dt.UTC), url=url
    )


def _settings(options: Mapping[str, object]) -> ApcvSoapSettings:
    settings = convert_settings(options, ApcvSoapSettings, table="apcv.options")
    for name, other in settings.shape.names.items():
        path = f"apcv.options.shape.names.{name}"
        if name not in envelope.NAMES:
            raise ConfigurationInvalid(f"a request has no element {name}", data={"path": path})
        if not re.fullmatch(NAME, other):
            raise ConfigurationInvalid("this is not the name of an element", data={"path": path})
    return settings


def _require_safe(url: str, path: str) -> None:
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


def _trust(settings: ApcvSoapSettings) -> ssl.SSLContext:
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


def _proxy(settings: ApcvSoapSettings) -> httpx.Proxy | None:
    if settings.proxy is None:
        return None
    try:
        parsed = httpx.URL(settings.proxy)
        if parsed.scheme in {"http", "https"} and parsed.host:
            return httpx.Proxy(parsed)
    except (httpx.InvalidURL, ValueError):
        pass  # its text quotes the URL, which may contain a password
    raise ConfigurationInvalid("this is not the URL of a proxy", data={"path": "apcv.options.proxy"})


def _provider(settings: ApcvSoapSettings) -> AssertionProvider:
    path = "apcv.options.assertion"
    found = load_class(ASSERTIONS, settings.assertion, path)
    made: AssertionProvider = found(settings.assertion_options)
    if not callable(getattr(made, "assertion", None)) or not isinstance(getattr(made, "simulated", None), bool):
        raise ConfigurationInvalid(f"{settings.assertion} is not an assertion provider", data={"path": path})
    return made


def _rights_reader(settings: ApcvSoapSettings) -> RightsReader | None:
    if settings.rights is None:
        return None
    path = "apcv.options.rights"
    found = load_class(RIGHTS, settings.rights, path)
    made = found(settings.rights_options)
    if not isinstance(made, RightsReader):
        raise ConfigurationInvalid(f"{settings.rights} reads no rights", data={"path": path})
    return made


def _invoice_form(signing: SigningSettings | None) -> InvoiceForm | None:
    if signing is None:
        return None
    if signing.url is not None:
        _require_safe(signing.url, "apcv.options.signing.url")
    if not re.fullmatch(NAME, signing.shape.request):
        path = "apcv.options.signing.shape.request"
        raise ConfigurationInvalid("this is not the name of an element", data={"path": path})
    path = "apcv.options.signing.form"
    found = load_class(INVOICES, signing.form, path)
    made = found(signing.form_options)
    if not isinstance(made, InvoiceForm):
        raise ConfigurationInvalid(f"{signing.form} is no form of invoices", data={"path": path})
    return made


def _sender(settings: ApcvSoapSettings) -> envelope.Sender:
    return envelope.Sender(
        identifiant_facturation=settings.identifiant_facturation,
        code_specialite=settings.code_specialite,
        emetteur=settings.emetteur,
        idam=settings.idam,
        lps_nom=settings.lps_nom,
        lps_version=settings.lps_version,
        lps_instance=settings.lps_instance,
    )


def _refusal(fault: envelope.Fault, codes: dict[str, Meaning]) -> VitaleError:
    """The error that a fault means."""
    meaning = codes.get(fault.code, "unavailable" if fault.receiver else "refused")
    detail = f"the service answers {fault.code}"
    match meaning:
        case "expired":
            return MediumExpired(detail, data={"code": fault.code})
        case "used":
            return Replayed(detail, data={"code": fault.code})
        case "context":
            return ContextUnknown(detail, data={"code": fault.code})
        case "unavailable":
            return ResolverUnavailable(detail, data={"code": fault.code})
        case "refused":
            return ResolverRefused(detail, data={"code": fault.code})
        case "assertion" | "revoked" | "suspended" | "delegation" | "unknown":
            return ResolverRefused(detail, variant=meaning, data={"code": fault.code})
