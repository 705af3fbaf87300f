"""The resolver ``apcv-soap``: the apCV authentication service of the GIE SESAM-Vitale, in the shape that is public.

It was never tried against the real service. That needs a CPS, a referenced software (IDAM) and a licence, which the
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
import uuid
from collections.abc import Callable
from pathlib import Path

import httpx
from cryptography import x509

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
from vitale_reader.resolvers.apcv_soap_settings import (
    ApcvSoapSettings,
    Meaning,
    assertion_provider,
    invoice_form,
    proxy,
    read_settings,
    require_safe,
    rights_reader,
    sender,
    trust,
)
from vitale_reader.resolvers.base import Resolution, Resolver, Signature
from vitale_reader.resolvers.exchange import post, probe
from vitale_reader.resolvers.licensed_plugins import (
    AssertionProvider,
    Element,
    InvoiceForm,
    Rights,
    RightsReader,
)

__all__ = ["ApcvSoapResolver"]

#: Seconds to reach the service. Shorter than a call may take, so that a call that never got there is known as such.
CONNECT = 4.0

#: Seconds to find out for a person who waits for the answer whether the service can be reached.
PROBE = 2.0
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
        self._settings = settings = read_settings(self.options)
        require_safe(settings.url, "apcv.options.url")
        self._assertions = assertion_provider(settings)
        self._rights = rights_reader(settings)
        self._form = invoice_form(settings.signing)
        simulated = [each.simulated for each in (self._assertions, self._rights, self._form) if each is not None]
        if any(simulated) and self.mode != "simulated":
            raise ConfigurationInvalid(
                f"a plug-in of the simulated service, and the station is in mode {self.mode}",
                data={"path": "apcv.options"},
            )
        if settings.origin == "test" and self.mode == "production":
            raise ConfigurationInvalid("a test service in production", data={"path": "apcv.options.origin"})
        self._client = httpx.AsyncClient(
            verify=trust(settings),
            proxy=proxy(settings),
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
            ResolverUnavailable: nobody answers; the variant says at which step it ended. It is ``own-certificate``
                where that of the site has ended: the service would refuse each call.
        """
        _require_valid(self._settings.certificate)
        await probe(self._client, self._settings.url, PROBE)
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
                sender(self._settings),
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
                _request(operation, value, message_id, settings.url), sender(settings), assertion, settings.shape
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


def _require_valid(certificate: str | None) -> None:
    if certificate is None:
        return
    found = x509.load_pem_x509_certificate(Path(certificate).read_bytes())
    now = dt.datetime.now(dt.UTC)
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc:
        detail = f"{certificate}: {found.not_valid_before_utc:%Y-%m-%d} – {found.not_valid_after_utc:%Y-%m-%d}"
        raise ResolverUnavailable(detail, variant="own-certificate", data={"sent": False})
