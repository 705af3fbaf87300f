"""The envelopes of the simulated service: SOAP 1.2 with WS-Addressing, in the shape that integrators have published.

A request: ``Action`` (WS-Addressing) names the operation; the header has WS-Security with a SAML assertion, and
``ContexteLPS``. The body has, in the namespace of apCV authentication,

- ``AuthentifierUtilisateurProximiteReq`` with ``ProfessionnelSante`` and ``Donnees`` (the string), or
- ``RestituerContexteApCVReq``, empty: it asks for the context that was opened last of those that are open. By a rule
  of the simulator it may name another one, as the next does; or
- ``DetruireContexteApCVReq`` with ``ContexteApCV``, which has the context's ``Identifiant``.

The names of the three outermost elements are not looked at, since the action says the same.

An answer: ``dateFinValidite``, ``identifiant``, ``tokenApCV`` in the same namespace. Beside them stands one element of
ours, since the public shape does not say how rights travel: ::

    <sim:droits xmlns:sim="urn:vitale-reader:sim:apcv:1" origine="simulated" au="2026-11-22T01:00:00Z"
                delegataire="PAUL MERLE-ESSAI">{"assure": …, "beneficiaires": […], "porteur": 0}</sim:droits>

Its text is the uniform record in JSON. ``au`` is the time at which the rights were valid. ``delegataire`` is absent
where the owner presented the phone.

``signerVitale`` signs an invoice, and pushes its receipt to the patient. The frame of its request is published:
``SignerVitaleReq`` around ``ContexteApCV``, in the namespace of apCV signatures. ``ContexteApCV`` has the
``Identifiant``. What follows is ours, ``<sim:ResumeFacture professionnel="…" centimes="2650"/>``. The codes and forms
of the real ``Facture`` are not public. Nor is the answer: here it is a ``<sim:signature>`` that is worth nothing.

A refusal: a SOAP 1.2 fault, ``Sender`` (HTTP 400). Its subcode is ``sim:CODE``, with a code of the table in
``contexts.py``. It has a French reason, and ``<sim:erreur code="CODE"/>`` in its detail.
"""

import datetime as dt
import re
import uuid
from dataclasses import dataclass, field
from typing import Final

import msgspec
from lxml import etree

# lxml names the class of its elements with an underscore, and gives no other name to annotate them with.
from lxml.etree import _Element as Element  # pyright: ignore[reportPrivateUsage]

from vitale_firmware_sim.apcv_service.contexts import RefusalCode, ServiceContext, ServiceRefusal

__all__ = [
    "ACTIONS",
    "AUTH",
    "AUTHENTICATE",
    "CTXLPS",
    "RELEASE",
    "RESTORE",
    "SAML",
    "SIGN",
    "SIGNING",
    "SIM",
    "SOAP",
    "WSA",
    "WSSE",
    "SoapRequest",
    "answer",
    "fault",
    "parse_request",
    "signed",
]

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
WSA: Final = "http://www.w3.org/2005/08/addressing"
WSSE: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
CTXLPS: Final = "urn:siram:lps:ctxlps"
AUTH: Final = "http://www.sesam-vitale.fr/apcv/auth/1/0"
SIGNING: Final = "http://www.sesam-vitale.fr/apcv/sign/1/0"
SIM: Final = "urn:vitale-reader:sim:apcv:1"

_URN: Final = "urn:ApCV_AUTH:1.0.0:"
AUTHENTICATE: Final = _URN + "authentifierUtilisateurProximite"
RESTORE: Final = _URN + "restituerContexteApCV"
RELEASE: Final = _URN + "detruireContexteApCV"
SIGN: Final = "urn:ApCV_SIGN:1.0.0:signerVitale"
ACTIONS: Final = (AUTHENTICATE, RESTORE, RELEASE, SIGN)

_REASONS: Final[dict[RefusalCode, str]] = {
    "ASSERTION_MISSING": "L’assertion du professionnel de santé est absente.",
    "REQUEST_INVALID": "La requête n’est pas conforme.",
    "ACTION_UNKNOWN": "Cette action n’existe pas.",
    "STRING_UNKNOWN": "Les données lues ne viennent pas d’une application connue.",
    "STRING_EXPIRED": "Les données lues ont expiré.",
    "STRING_USED": "Les données lues ont déjà été utilisées.",
    "APPLICATION_REVOKED": "L’application carte Vitale a été révoquée.",
    "RIGHTS_SUSPENDED": "Les droits sont suspendus.",
    "DELEGATION_ENDED": "La délégation a pris fin.",
    "CONTEXT_UNKNOWN": "Ce contexte n’existe pas, ou a pris fin.",
    "UNPUBLISHED": "Le service refuse.",
}


@dataclass(frozen=True, slots=True)
class SoapRequest:
    """A request that is well formed.

    Attributes:
        action: one of ``ACTIONS``.
        message_id: WS-Addressing's; empty where there is none.
        value: the string of ``Donnees`` for ``AUTHENTICATE``, else the context's ``Identifiant``; empty for ``RESTORE``
            without one.
        professional: who bills, for ``SIGN``.
        cents: the amount of the invoice, for ``SIGN``.
    """

    action: str
    message_id: str
    value: str = field(repr=False)
    professional: str = field(default="", repr=False)
    cents: int = field(default=0, repr=False)


def parse_request(body: bytes) -> SoapRequest:
    """Reads an envelope.

    Raises:
        ServiceRefusal: ``REQUEST_INVALID``, ``ACTION_UNKNOWN`` or ``ASSERTION_MISSING``.
    """
    # The clients of a simulator are strangers as well: no entities, no network, no DTD, no huge trees.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise ServiceRefusal("REQUEST_INVALID") from error
    if root.tag != f"{{{SOAP}}}Envelope" or root.getroottree().docinfo.doctype:
        raise ServiceRefusal("REQUEST_INVALID")
    action = _text(root, f"{{{SOAP}}}Header/{{{WSA}}}Action")
    if action not in ACTIONS:
        raise ServiceRefusal("ACTION_UNKNOWN")
    assertion = root.find(f"{{{SOAP}}}Header/{{{WSSE}}}Security/{{{SAML}}}Assertion")
    if assertion is None:
        raise ServiceRefusal("ASSERTION_MISSING")
    message_id = _text(root, f"{{{SOAP}}}Header/{{{WSA}}}MessageID")
    if action == SIGN:
        return _signing(root, message_id)
    return SoapRequest(action, message_id, _value(root, action))


def _signing(root: Element, message_id: str) -> SoapRequest:
    """Reads a request to sign, whose invoice is the simulator's own: that of the real service is not public."""
    inside = f"{{{SOAP}}}Body/{{{SIGNING}}}SignerVitaleReq/"
    summary = root.find(f"{inside}{{{SIM}}}ResumeFacture")
    identifiant = _text(root, f"{inside}{{{SIGNING}}}ContexteApCV/{{{SIGNING}}}Identifiant")
    cents = "" if summary is None else summary.get("centimes", "")
    header = root.find(f"{{{SOAP}}}Header/{{{CTXLPS}}}ContexteLPS")
    if header is None or summary is None or not identifiant or not re.fullmatch(r"[0-9]{1,9}", cents, re.ASCII):
        raise ServiceRefusal("REQUEST_INVALID")
    return SoapRequest(SIGN, message_id, identifiant, summary.get("professionnel", ""), int(cents))


def _value(root: Element, action: str) -> str:
    inside = f"{{{SOAP}}}Body//{{{AUTH}}}"
    header = root.find(f"{{{SOAP}}}Header/{{{CTXLPS}}}ContexteLPS")
    if header is None:
        raise ServiceRefusal("REQUEST_INVALID")
    if action == AUTHENTICATE and not _text(root, f"{inside}ProfessionnelSante/{{{AUTH}}}IdentifiantFacturation"):
        raise ServiceRefusal("REQUEST_INVALID")
    value = _text(root, inside + ("Donnees" if action == AUTHENTICATE else f"ContexteApCV/{{{AUTH}}}Identifiant"))
    if not value and action != RESTORE:
        raise ServiceRefusal("REQUEST_INVALID")
    return value


def _text(root: Element, path: str) -> str:
    return (root.findtext(path) or "").strip()


def answer(request: SoapRequest, context: ServiceContext | None) -> bytes:
    """The envelope of a context, or of its end where there is none to give."""
    envelope, body = _envelope(request.action + "Response", request.message_id)
    wrapper = etree.SubElement(body, f"{{{AUTH}}}{request.action.removeprefix(_URN)}Response", nsmap={None: AUTH})
    if context is None:
        return _serialised(envelope)
    reply = etree.SubElement(wrapper, f"{{{AUTH}}}ContexteApCVRep")
    _element(reply, f"{{{AUTH}}}dateFinValidite", _timestamp(context.ends))
    _element(reply, f"{{{AUTH}}}identifiant", context.identifiant)
    _element(reply, f"{{{AUTH}}}tokenApCV", context.token)
    rights = etree.SubElement(wrapper, f"{{{SIM}}}droits", nsmap={"sim": SIM})
    rights.set("origine", "simulated")
    rights.set("au", _timestamp(context.rights_at))
    if context.delegate:
        rights.set("delegataire", context.delegate)
    rights.text = msgspec.json.encode(context.record).decode()
    return _serialised(envelope)


def signed(request: SoapRequest, signature: str) -> bytes:
    """The envelope of a signature."""
    envelope, body = _envelope(request.action + "Response", request.message_id)
    wrapper = etree.SubElement(body, f"{{{SIM}}}signerVitaleResponse", nsmap={"sim": SIM})
    _element(wrapper, f"{{{SIM}}}signature", signature)
    return _serialised(envelope)


def fault(code: RefusalCode, message_id: str = "") -> bytes:
    """The envelope of a refusal, by SOAP 1.2 part 1 §5.4."""
    envelope, body = _envelope(f"{WSA}/fault", message_id)
    one = etree.SubElement(body, f"{{{SOAP}}}Fault", nsmap={"sim": SIM})
    code_element = etree.SubElement(one, f"{{{SOAP}}}Code")
    _element(code_element, f"{{{SOAP}}}Value", "env:Sender")
    _element(etree.SubElement(code_element, f"{{{SOAP}}}Subcode"), f"{{{SOAP}}}Value", f"sim:{code}")
    reason = _element(etree.SubElement(one, f"{{{SOAP}}}Reason"), f"{{{SOAP}}}Text", _REASONS[code])
    reason.set("{http://www.w3.org/XML/1998/namespace}lang", "fr")
    etree.SubElement(etree.SubElement(one, f"{{{SOAP}}}Detail"), f"{{{SIM}}}erreur").set("code", code)
    return _serialised(envelope)


def _envelope(action: str, relates_to: str) -> tuple[Element, Element]:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"env": SOAP, "wsa": WSA})
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    _element(header, f"{{{WSA}}}Action", action)
    _element(header, f"{{{WSA}}}MessageID", f"urn:uuid:{uuid.uuid4()}")
    if relates_to:
        _element(header, f"{{{WSA}}}RelatesTo", relates_to)
    return envelope, etree.SubElement(envelope, f"{{{SOAP}}}Body")


def _element(parent: Element, name: str, text: str) -> Element:
    one = etree.SubElement(parent, name)
    one.text = text
    return one


def _serialised(envelope: Element) -> bytes:
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def _timestamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
