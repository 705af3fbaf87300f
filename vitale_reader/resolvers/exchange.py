"""One HTTP exchange with a service that is not trusted: bounded in size, without redirects, cookies or compression.

An answer may come in parts, as MTOM has it. Then the first is the envelope, and what it includes is put in as base64.
"""

import base64
import email.message
import email.parser
import email.policy
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import quote

import httpx

from vitale_protocol.errors import ResolverRefused, ResolverUnavailable
from vitale_reader.resolvers.base import sending_begins
from vitale_reader.resolvers.envelope import include

__all__ = ["CONTENT_TYPE", "MOST_BYTES", "post", "probe"]

#: An answer with the rights of 19 people stays under 100 KiB.
MOST_BYTES = 1_048_576
CONTENT_TYPE = "application/soap+xml"
IN_PARTS = "multipart/related"
#: Parts of an answer: an envelope, and a document for each of a large family.
MOST_PARTS = 32
#: A SOAP 1.2 fault comes with one of the last two (SOAP 1.2 part 2 §7.4).
ANSWERS = frozenset({200, 400, 500})
#: Of OpenSSL's verdicts (x509_vfy.h) those of X509_V_FLAG_X509_STRICT: a certificate breaks the rules of RFC 5280,
#: whoever it is from, as one without the extensions ``keyUsage`` or ``authorityKeyIdentifier`` does.
MALFORMED = frozenset({32, *range(79, 95)})


async def post(client: httpx.AsyncClient, url: str, content: bytes, action: str) -> bytes:
    """Posts a SOAP 1.2 request and returns the service's answer.

    Args:
        client: follows no redirects, keeps no connections and takes no cookies.
        url: where to.
        content: the envelope.
        action: goes into the content type, as SOAP 1.2 has it.

    Raises:
        ResolverUnavailable: it does not answer, or not with SOAP of reasonable size. ``data.sent`` is False where it
            could not even be reached, and the variant says why, as for ``probe``. It is ``unreadable`` for any other
            answer.
        ResolverRefused: it refused access by an HTTP status of its own.
    """
    headers = {"Content-Type": f'{CONTENT_TYPE}; charset=utf-8; action="{action}"', "Accept-Encoding": "identity"}
    sending_begins()
    try:
        async with client.stream("POST", url, content=content, headers=headers) as response:
            _check(response)
            content = await _bounded(response)
            if _kind(response) == IN_PARTS:
                return _put_together(response.headers["Content-Type"], content)
            return content
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise _unreached(error) from error
    except httpx.HTTPError as error:
        raise ResolverUnavailable(type(error).__name__) from error


async def probe(client: httpx.AsyncClient, url: str, connect: float) -> None:
    """Finds out whether anybody answers at an address; what is answered does not matter.

    Args:
        client: to ask with.
        url: the address.
        connect: seconds for a connection to come about.

    Raises:
        ResolverUnavailable: nobody does. The variant is ``host`` for a name that nobody knows. It is ``certificate``
            for one not made by the rules, and ``tls`` for a server not trusted otherwise. It is ``unreachable`` where
            nobody listens or a network is in the way.
    """
    try:
        async with client.stream("HEAD", url, timeout=httpx.Timeout(None, connect=connect)):
            return
    except httpx.HTTPError as error:
        raise _unreached(error) from error


def _unreached(error: httpx.HTTPError) -> ResolverUnavailable:
    """The error of a call that reached nobody; its variant is the step at which it ended."""
    causes = tuple(_causes(error))
    variant = "unreachable"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        variant = "host"
    elif any(isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in MALFORMED for cause in causes):
        variant = "certificate"
    elif any(isinstance(cause, ssl.SSLError) for cause in causes):
        variant = "tls"
    return ResolverUnavailable(type(error).__name__, variant=variant, data={"sent": False})


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception and those that led to it."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


def _check(response: httpx.Response) -> None:
    status = response.status_code
    kind = _kind(response)
    if status in {401, 403} and kind != CONTENT_TYPE:
        raise ResolverRefused(f"HTTP status {status}", variant="assertion", data={"code": f"HTTP-{status}"})
    if status not in ANSWERS:
        raise ResolverUnavailable(f"HTTP status {status}")
    if kind not in {CONTENT_TYPE, IN_PARTS}:
        if status == 500:
            raise ResolverUnavailable(f"HTTP status {status}")
        raise ResolverUnavailable("not SOAP 1.2", variant="unreadable")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        # A few bytes could unfold to gigabytes; none was asked for.
        raise ResolverUnavailable("a compressed answer", variant="unreadable")


async def _bounded(response: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > MOST_BYTES:
            raise ResolverUnavailable(f"more than {MOST_BYTES} bytes", variant="unreadable")
    return bytes(content)


def _kind(response: httpx.Response) -> str:
    kind: str = response.headers.get("Content-Type", "")
    return kind.partition(";")[0].strip().lower()


def _put_together(kind: str, content: bytes) -> bytes:
    """The envelope of an answer in parts (MTOM, XOP: https://www.w3.org/TR/xop10/), with what it includes.

    Raises:
        ResolverUnavailable: it is not one.
    """
    if "\r" in kind or "\n" in kind:
        raise ResolverUnavailable("not SOAP 1.2 in parts", variant="unreadable")
    head = f"Content-Type: {kind}\r\n\r\n".encode("latin-1", "replace")
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + content)
    parts = list(message.iter_parts()) if message.is_multipart() else []
    if not 1 <= len(parts) <= MOST_PARTS or parts[0].get_content_type() not in {"application/xop+xml", CONTENT_TYPE}:
        raise ResolverUnavailable("not SOAP 1.2 in parts", variant="unreadable")
    named = {str(part["Content-ID"] or "").strip("<> "): part for part in parts}
    start = message.get_param("start")
    root = named.get(start.strip("<> "), parts[0]) if isinstance(start, str) else parts[0]
    included = {name: base64.b64encode(_bytes_of(part)).decode() for name, part in named.items()}
    urls = {f"cid:{written}": text for name, text in included.items() for written in (name, quote(name, safe=""))}
    return include(_bytes_of(root), urls)


def _bytes_of(part: email.message.Message) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""
