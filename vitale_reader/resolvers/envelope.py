"""The envelopes of the apCV authentication service: SOAP 1.2 with WS-Addressing and WS-Security, in and out; pure.

The actions, namespaces and names below are those that integrators have published. The names of the elements around
``ProfessionnelSante`` and ``Donnees``, and around the three members of ``ContexteApCVRepType``, are not public. The
operation's own name is written, and any name is accepted.
"""

import datetime as dt
import uuid
from typing import Final, NoReturn

import msgspec
from lxml import etree

from vitale_protocol.errors import ConfigurationInvalid, PayloadInvalid, ResolverUnavailable
from vitale_protocol.privacy import concealed
from vitale_reader.resolvers.plugins import Element

__all__ = [
    "ACTION",
    "AUTHENTICATE",
    "RELEASE",
    "RESTORE",
    "ContextRequest",
    "Fault",
    "Sender",
    "ServiceAnswer",
    "build",
    "parse",
]

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
SECURITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
LPS: Final = "urn:siram:lps:ctxlps"
AUTH: Final = "http://www.sesam-vitale.fr/apcv/auth/1/0"

ACTION: Final = "urn:ApCV_AUTH:1.0.0:"
AUTHENTICATE: Final = "authentifierUtilisateurProximite"
RESTORE: Final = "restituerContexteApCV"
RELEASE: Final = "detruireContexteApCV"

# A token of ours has room for 100 000 characters; the service's own is one part of it.
IDENTIFIANT_CHARACTERS: Final = 200
TOKEN_CHARACTERS: Final = 32_768


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Identity of the sender: the practitioner, and the software (``LPS``) with its IDAM number."""

    identifiant_facturation: str
    code_specialite: str
    emetteur: str
    idam: str
    lps_nom: str
    lps_version: str
    lps_instance: str


class ContextRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request; ``value`` is the string, or the context's name."""

    __repr__ = concealed

    operation: str
    value: str
    message_id: str
    at: dt.datetime
    url: str


class ServiceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A context as the service gives it, absent where it was destroyed; ``body`` has whatever came with it."""

    __repr__ = concealed

    body: Element
    identifiant: str = ""
    token: str = ""
    date_fin_validite: dt.datetime | None = None


class Fault(msgspec.Struct, frozen=True):
    """A SOAP fault: the service's own code, and whether it blames itself (``Receiver``) or the request."""

    code: str
    receiver: bool


def build(request: ContextRequest, sender: Sender, assertion: bytes) -> bytes:
    """The envelope of a request.

    Raises:
        PayloadInvalid: the string has characters that XML cannot carry.
        ConfigurationInvalid: the assertion is not XML.
    """
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"env": SOAP, "wsa": ADDRESSING})
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    _add(header, ADDRESSING, "Action", ACTION + request.operation)
    _add(header, ADDRESSING, "MessageID", request.message_id)
    _add(header, ADDRESSING, "To", request.url)
    security = etree.SubElement(header, f"{{{SECURITY}}}Security", nsmap={"wsse": SECURITY})
    security.append(_assertion(assertion))
    _add_context(header, request, sender)
    body = etree.SubElement(envelope, f"{{{SOAP}}}Body")
    operation = etree.SubElement(body, f"{{{AUTH}}}{request.operation}", nsmap={None: AUTH})
    if request.operation == AUTHENTICATE:
        who = etree.SubElement(operation, f"{{{AUTH}}}ProfessionnelSante")
        _add(who, AUTH, "IdentifiantFacturation", sender.identifiant_facturation)
        _add(who, AUTH, "CodeSpecialiteAMO", sender.code_specialite)
    try:
        _add(operation, AUTH, "Donnees" if request.operation == AUTHENTICATE else "Identifiant", request.value)
    except ValueError:
        pass
    else:
        return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")
    raise PayloadInvalid("XML cannot carry these characters", data={"sent": False})


def parse(content: bytes, message_id: str) -> ServiceAnswer | Fault:
    """Parses the answer to a request.

    Args:
        content: what the service sent, already bounded.
        message_id: of the request; an answer to another one is not taken.

    Raises:
        ResolverUnavailable: not an answer that can be understood; the variant is ``unreadable``.
    """
    root = _document(content)
    body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        _unreadable("not a SOAP 1.2 envelope")
    if _text(root, f"{{{SOAP}}}Header/{{{ADDRESSING}}}RelatesTo") not in {"", message_id}:
        _unreadable("the answer is to another request")
    fault = body.find(f"{{{SOAP}}}Fault")
    if fault is not None:
        return _fault(fault)
    identifiant, token = (_text(body, f".//{{{AUTH}}}{name}") for name in ("identifiant", "tokenApCV"))
    if not identifiant and not token:
        return ServiceAnswer(body=body)
    if not 1 <= len(identifiant) <= IDENTIFIANT_CHARACTERS or not 1 <= len(token) <= TOKEN_CHARACTERS:
        _unreadable("the context has no name or no token, or too long ones")
    ends = _moment(_text(body, f".//{{{AUTH}}}dateFinValidite"))
    return ServiceAnswer(body=body, identifiant=identifiant, token=token, date_fin_validite=ends)


def _document(content: bytes) -> Element:
    # Entities are not resolved, nothing is fetched, and what is too deep or too wide ends the parsing.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None  # the cause is not kept: it quotes the document
    if root is None:
        _unreadable("not XML")
    if root.getroottree().docinfo.doctype:
        _unreadable("a document type, which SOAP forbids")  # SOAP 1.2 part 1 §5
    return root


def _fault(fault: Element) -> Fault:
    value = _text(fault, f"{{{SOAP}}}Code/{{{SOAP}}}Value")
    subcode = _text(fault, f"{{{SOAP}}}Code/{{{SOAP}}}Subcode/{{{SOAP}}}Value")
    code = (subcode or value).rpartition(":")[2]
    # A code is a word for programs; anything else might be about somebody.
    plain = code if code.replace("_", "").replace("-", "").isalnum() and len(code) <= 64 else "unreadable"
    return Fault(plain, receiver=value.rpartition(":")[2] == "Receiver")


def _moment(text: str) -> dt.datetime:
    try:
        # Without a zone it is taken for this machine's, which stands in the practice.
        return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        _unreadable("the context's end is not a date")


def _assertion(assertion: bytes) -> Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(assertion, parser)
    except (etree.XMLSyntaxError, ValueError):
        pass
    raise ConfigurationInvalid("the assertion provider gave no XML", data={"path": "apcv.options.assertion"})


def _add_context(header: Element, request: ContextRequest, sender: Sender) -> None:
    context = etree.SubElement(header, f"{{{LPS}}}ContexteLPS", nsmap={"lps": LPS})
    context.set("Nature", "CTXLPS")
    context.set("Version", "01_00")
    _add(context, LPS, "Id", str(uuid.uuid5(uuid.NAMESPACE_URL, request.message_id)))
    _add(context, LPS, "Temps", request.at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    _add(context, LPS, "Emetteur", sender.emetteur)
    software = etree.SubElement(context, f"{{{LPS}}}LPS")
    _add(software, LPS, "IDAM", sender.idam).set("R", "4")
    _add(software, LPS, "Version", sender.lps_version)
    _add(software, LPS, "Instance", sender.lps_instance)
    _add(software, LPS, "Nom", sender.lps_nom)


def _add(parent: Element, namespace: str, name: str, text: str) -> Element:
    child = etree.SubElement(parent, f"{{{namespace}}}{name}")
    child.text = text
    return child


def _text(element: Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _unreadable(detail: str) -> NoReturn:
    raise ResolverUnavailable(detail, variant="unreadable")
