"""One HTTP exchange with a service that is not trusted: bounded in size, without redirects, cookies or compression."""

import httpx

from vitale_protocol.errors import ResolverRefused, ResolverUnavailable

__all__ = ["CONTENT_TYPE", "MOST_BYTES", "post"]

#: An answer with the rights of 19 people stays under 100 KiB.
MOST_BYTES = 1_048_576
CONTENT_TYPE = "application/soap+xml"
#: A SOAP 1.2 fault comes with one of the last two (SOAP 1.2 part 2 §7.4).
ANSWERS = frozenset({200, 400, 500})


async def post(client: httpx.AsyncClient, url: str, content: bytes, action: str) -> bytes:
    """Posts a SOAP 1.2 request and returns the service's answer.

    Args:
        client: follows no redirects, keeps no connections and takes no cookies.
        url: where to.
        content: the envelope.
        action: goes into the content type, as SOAP 1.2 has it.

    Raises:
        ResolverUnavailable: it does not answer, or not with SOAP of reasonable size. ``data.sent`` is False where it
            could not even be reached; the variant is ``unreadable`` for any other answer.
        ResolverRefused: it refused access by an HTTP status of its own.
    """
    headers = {"Content-Type": f'{CONTENT_TYPE}; charset=utf-8; action="{action}"', "Accept-Encoding": "identity"}
    try:
        async with client.stream("POST", url, content=content, headers=headers) as response:
            _check(response)
            return await _bounded(response)
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
        raise ResolverUnavailable(type(error).__name__, data={"sent": False}) from error
    except httpx.HTTPError as error:
        raise ResolverUnavailable(type(error).__name__) from error


def _check(response: httpx.Response) -> None:
    status = response.status_code
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if status in {401, 403} and kind != CONTENT_TYPE:
        raise ResolverRefused(f"HTTP status {status}", variant="assertion", data={"code": f"HTTP-{status}"})
    if status not in ANSWERS:
        raise ResolverUnavailable(f"HTTP status {status}")
    if kind != CONTENT_TYPE:
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
