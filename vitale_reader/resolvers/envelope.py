"""The envelopes of the apCV authentication service: SOAP 1.2 with WS-Addressing and WS-Security, in and out; pure.

The actions, namespaces and names below are those that integrators have published. ``restituerContexteApCV`` has an
empty request there: it asks for the practitioner's context. The resolver's caller compares the name of what comes. The
name of the element around the three members of ``ContexteApCVRepType`` is not public, and any is accepted.

Of ``signerVitale`` the request is published as far as ``ContexteApCV``. What follows it is not: codes and forms of
``Facture`` and ``ResumeFacture``. Nor is the answer. A plug-in writes the one and reads the other.
"""

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Final, Literal, NoReturn

import msgspec
from lxml import etree

from vitale_protocol.errors import ConfigurationInvalid, PayloadInvalid, ResolverUnavailable
from vitale_protocol.privacy import concealed
from vitale_reader.resolvers.licensed_plugins import Element

__all__ = [
    "AUTHENTICATE",
    "NAMES",
    "PUBLISHED",
    "RELEASE",
    "REQUESTS",
    "RESTORE",
    "SIGN",
    "ContextRequest",
    "Fault",
    "Sender",
    "ServiceAnswer",
    "Shape",
    "SigningShape",
    "build",
    "build_signing",
    "include",
    "parse",
    "parse_body",
]

SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
ADDRESSING: Final = "http://www.w3.org/2005/08/addressing"
INCLUDE: Final = "{http://www.w3.org/2004/08/xop/include}Include"
SECURITY: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
LPS: Final = "urn:siram:lps:ctxlps"
AUTH: Final = "http://www.sesam-vitale.fr/apcv/auth/1/0"

ACTION: Final = "urn:ApCV_AUTH:1.0.0:"
AUTHENTICATE: Final = "authentifierUtilisateurProximite"
RESTORE: Final = "restituerContexteApCV"
RELEASE: Final = "detruireContexteApCV"
SIGN: Final = "signerVitale"

#: The element of each operation's request.
REQUESTS: Final = {
    AUTHENTICATE: "AuthentifierUtilisateurProximiteReq",
    RESTORE: "RestituerContexteApCVReq",
    RELEASE: "DetruireContexteApCVReq",
}

#: The elements of a request whose names may be told otherwise.
NAMES: Final = frozenset(
    {
        AUTHENTICATE,
        RESTORE,
        RELEASE,
        "ProfessionnelSante",
        "IdentifiantFacturation",
        "CodeSpecialiteAMO",
        "Donnees",
        "ContexteApCV",
        "Identifiant",
    }
)

# A token of ours has room for 100 000 characters; the service's own is one part of it.
IDENTIFIANT_CHARACTERS: Final = 200
TOKEN_CHARACTERS: Final = 32_768


class Shape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Differences between versions of the service; the defaults are what is public of version 1/0.

    Attributes:
        namespace: of the service's own elements.
        action: the part of the WS-Addressing action before the name of the operation.
        names: other names for the elements of a request: of an operation, ``ProfessionnelSante``,
            ``IdentifiantFacturation``, ``CodeSpecialiteAMO``, ``Donnees``, ``ContexteApCV`` or ``Identifiant``.
        version: the attribute of a request; empty for none.
        restore: the form of the request that restores a context. ``current`` is the published one, which is empty;
            ``named`` has ``ContexteApCV``, as a release has.
        date_form: the format of a context's end, as ``strptime`` has it (``%Y%m%d%H%M%S``). Empty for ISO 8601.
    """

    namespace: str = AUTH
    action: str = ACTION
    names: dict[str, str] = {}
    version: str = "1.0"
    restore: Literal["current", "named"] = "current"
    date_form: str = ""

    def tag(self, name: str) -> str:
        """The qualified name of an element of a request."""
        return f"{{{self.namespace}}}{self.names.get(name, REQUESTS.get(name, name))}"


class SigningShape(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Differences between versions of the service that signs; the defaults are what is public of version 1/0.

    Attributes:
        namespace: of the service's own elements.
        action: the part of the WS-Addressing action before the name of the operation.
        request: the name of the element around the context and the invoice.
        version: its attribute; empty for none.
    """

    namespace: str = "http://www.sesam-vitale.fr/apcv/sign/1/0"
    action: str = "urn:ApCV_SIGN:1.0.0:"
    request: str = "SignerVitaleReq"
    version: str = "1.0"


PUBLISHED: Final = Shape()


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
    """One request; ``value`` is the string, or the context's name; ``url`` is where it is posted."""

    __repr__ = concealed

    operation: str
    value: str
    message_id: str
    at: dt.datetime
    url: str


class ServiceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A context as the service gives it, absent where it was destroyed; ``body`` has whatever came with it.

    A context without token and end can be released by its name, and is of no other use.
    """

    __repr__ = concealed

    body: Element
    identifiant: str = ""
    token: str = ""
    date_fin_validite: dt.datetime | None = None


class Fault(msgspec.Struct, frozen=True):
    """A SOAP fault: the service's own code, and whether it blames itself (``Receiver``) or the request."""

    code: str
    receiver: bool


def build(request: ContextRequest, sender: Sender, assertion: bytes, shape: Shape = PUBLISHED) -> bytes:
    """The envelope of a request.

    Raises:
        PayloadInvalid: the string has characters that XML cannot carry.
        ConfigurationInvalid: the assertion is not XML.
    """
    operation = etree.Element(shape.tag(request.operation), nsmap={None: shape.namespace})
    if shape.version:
        operation.set("version", shape.version)
    try:
        _fill(operation, request, sender, shape)
    except ValueError:
        pass
    else:
        return _enclosed(operation, request, shape.action, sender, assertion)
    raise PayloadInvalid("XML cannot carry these characters", variant="control", data={"sent": False})


def _fill(operation: Element, request: ContextRequest, sender: Sender, shape: Shape) -> None:
    """Writes what an operation is about; a ValueError where XML cannot carry it."""
    if request.operation == AUTHENTICATE:
        who = etree.SubElement(operation, shape.tag("ProfessionnelSante"))
        etree.SubElement(who, shape.tag("IdentifiantFacturation")).text = sender.identifiant_facturation
        etree.SubElement(who, shape.tag("CodeSpecialiteAMO")).text = sender.code_specialite
        etree.SubElement(operation, shape.tag("Donnees")).text = request.value
    elif request.operation == RELEASE or shape.restore == "named":
        context = etree.SubElement(operation, shape.tag("ContexteApCV"))
        etree.SubElement(context, shape.tag("Identifiant")).text = request.value


def build_signing(
    request: ContextRequest, sender: Sender, assertion: bytes, invoice: Sequence[Element], shape: SigningShape
) -> bytes:
    """The envelope of a request to sign, with the elements of an invoice behind its context.

    Raises:
        ConfigurationInvalid: the assertion is not XML.
    """
    tag = f"{{{shape.namespace}}}"
    operation = etree.Element(tag + shape.request, nsmap={None: shape.namespace})
    if shape.version:
        operation.set("version", shape.version)
    context = etree.SubElement(operation, f"{tag}ContexteApCV")
    etree.SubElement(context, f"{tag}Identifiant").text = request.value
    operation.extend(invoice)
    return _enclosed(operation, request, shape.action, sender, assertion)


def _enclosed(operation: Element, request: ContextRequest, action: str, sender: Sender, assertion: bytes) -> bytes:
    envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"env": SOAP, "wsa": ADDRESSING})
    header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
    _add(header, ADDRESSING, "Action", action + request.operation)
    _add(header, ADDRESSING, "MessageID", request.message_id)
    _add(header, ADDRESSING, "To", request.url)
    security = etree.SubElement(header, f"{{{SECURITY}}}Security", nsmap={"wsse": SECURITY})
    security.append(_assertion(assertion))
    _add_context(header, request, sender)
    etree.SubElement(envelope, f"{{{SOAP}}}Body").append(operation)
    return etree.tostring(envelope, xml_declaration=True, encoding="UTF-8")


def parse(content: bytes, message_id: str, shape: Shape = PUBLISHED) -> ServiceAnswer | Fault:
    """Parses the answer to a request about a context.

    Args:
        content: what the service sent, already bounded.
        message_id: of the request; an answer to another one is not taken.
        shape: of the service's version.

    Raises:
        ResolverUnavailable: not an answer that can be understood; the variant is ``unreadable``.
    """
    body = parse_body(content, message_id)
    if isinstance(body, Fault):
        return body
    identifiant, token = (_text(body, f".//{{{shape.namespace}}}{name}") for name in ("identifiant", "tokenApCV"))
    if not identifiant and not token:
        return ServiceAnswer(body=body)
    if not 1 <= len(identifiant) <= IDENTIFIANT_CHARACTERS:
        _unreadable("the context has no name, or too long a one")
    ends = _moment(_text(body, f".//{{{shape.namespace}}}dateFinValidite"), shape.date_form)
    whole = 1 <= len(token) <= TOKEN_CHARACTERS and ends is not None
    return ServiceAnswer(
        body=body, identifiant=identifiant, token=token if whole else "", date_fin_validite=ends if whole else None
    )


def parse_body(content: bytes, message_id: str) -> Element | Fault:
    """Parses the envelope of an answer, and gives its body.

    Raises:
        ResolverUnavailable: as ``parse``.
    """
    root = _document(content)
    body = root.find(f"{{{SOAP}}}Body")
    if root.tag != f"{{{SOAP}}}Envelope" or body is None:
        _unreadable("not a SOAP 1.2 envelope")
    if _text(root, f"{{{SOAP}}}Header/{{{ADDRESSING}}}RelatesTo") not in {"", message_id}:
        _unreadable("the answer is to another request")
    fault = body.find(f"{{{SOAP}}}Fault")
    return body if fault is None else _fault(fault)


def include(content: bytes, parts: dict[str, str]) -> bytes:
    """The envelope of an answer in parts, with the parts put in.

    The format is XOP (https://www.w3.org/TR/xop10/).

    Args:
        content: the envelope.
        parts: base64 of each part, by the URL that includes it (``cid:``).

    Raises:
        ResolverUnavailable: it is not an envelope that can be understood.
    """
    root = _document(content)
    for element in list(root.iter(INCLUDE)):
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)
            parent.text = parts.get(element.get("href", ""), "")
    return etree.tostring(root)


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


def _moment(text: str, form: str) -> dt.datetime | None:
    """A time; None where it is none. Without a zone it is this machine's, which stands in the practice."""
    try:
        told = dt.datetime.strptime(text, form) if form else dt.datetime.fromisoformat(text)  # noqa: DTZ007
        return told.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


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
