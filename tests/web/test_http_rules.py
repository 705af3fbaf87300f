"""The rules by which a page's request is let in, on the vectors, and every field for itself."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.web.origin_vectors import ALLOWED, HOSTS, vectors
from vitale_reader.web.http_rules import MALFORMED, REFUSED, Admission, RequestHead, Verdict, judge
from vitale_reader.web.websocket import PageSocket

ALLOWED_HOSTS = frozenset(host.encode() for host in HOSTS)
SITE = ALLOWED[0]

Fields = list[tuple[bytes, bytes]]

CHROMIUM: Fields = [
    (b"host", b"127.0.0.1:7817"),
    (b"connection", b"Upgrade"),
    (b"pragma", b"no-cache"),
    (b"cache-control", b"no-cache"),
    (b"user-agent", b"Mozilla/5.0"),
    (b"upgrade", b"websocket"),
    (b"origin", SITE.encode()),
    (b"sec-websocket-version", b"13"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
    (b"sec-websocket-protocol", b"vitale-reader.1"),
]
FIREFOX: Fields = [
    *((name, b"keep-alive, Upgrade" if name == b"connection" else value) for name, value in CHROMIUM),
    (b"sec-fetch-dest", b"empty"),
    (b"sec-fetch-mode", b"websocket"),
    (b"sec-fetch-site", b"cross-site"),
]


def verdict(
    fields: Fields, *, method: bytes = b"GET", target: bytes = b"/v1", version: bytes = b"1.1", sites: Any = ALLOWED
) -> Verdict:
    """The verdict, with the question of whether the site may come answered as the core does: byte by byte."""
    found = judge(RequestHead(method, target, version, fields), ALLOWED_HOSTS)
    return found if not isinstance(found, Admission) or found.site in sites else "refused"


def changed(name: bytes, value: bytes | None, fields: Fields = CHROMIUM) -> Fields:
    """The fields with another value of one of them, or without it."""
    rest = [each for each in fields if each[0] != name]
    return rest if value is None else [*rest, (name, value)]


def with_one_more(name: bytes, value: bytes) -> Fields:
    return [*CHROMIUM, (name, value)]


# ── the vectors ──


@pytest.mark.parametrize(("value", "accepted"), vectors("origin"))
def test_origins_are_let_in_by_their_bytes(value: Any, accepted: bool) -> None:
    raw = None if value is None else str(value).encode()
    assert accepted is isinstance(verdict(changed(b"origin", raw)), Admission)


@pytest.mark.parametrize(("value", "accepted"), vectors("host"))
def test_hosts_are_let_in_by_their_bytes(value: Any, accepted: bool) -> None:
    raw = None if value is None else str(value).encode()
    assert accepted is isinstance(verdict(changed(b"host", raw)), Admission)


def test_requests_of_the_vectors() -> None:
    requests: dict[str, Verdict] = {
        "GET http://evil.test:7817/v1 HTTP/1.1 with Host: 127.0.0.1:7817": verdict(
            CHROMIUM, target=b"http://evil.test:7817/v1"
        ),
        "two Origin fields, the same value twice": verdict(with_one_more(b"origin", SITE.encode())),
        "Origin allowed, Host allowed, Sec-Fetch-Mode: no-cors": verdict(with_one_more(b"sec-fetch-mode", b"no-cors")),
        "Origin allowed, Host allowed, Upgrade: websocket, no Sec-Fetch-*": verdict(CHROMIUM),
        "Origin allowed, Host allowed, Upgrade: websocket, Sec-Fetch-Mode: websocket, Sec-Fetch-Site: cross-site": (
            verdict(FIREFOX)
        ),
        "Origin allowed, Host allowed, POST, Sec-Fetch-Site: none": verdict(
            with_one_more(b"sec-fetch-site", b"none"), method=b"POST"
        ),
    }
    assert dict(vectors("request")) == {told: isinstance(found, Admission) for told, found in requests.items()}


# ── the rules, one by one ──


@pytest.mark.parametrize("fields", [CHROMIUM, FIREFOX])
@pytest.mark.parametrize("host", HOSTS)
def test_what_browsers_send_is_let_in(fields: Fields, host: str) -> None:
    found = verdict(changed(b"host", host.encode(), fields))
    assert Admission(site=SITE, host=host) == found


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        (CHROMIUM, {"version": b"1.0"}),
        (CHROMIUM, {"version": b"2"}),
        (CHROMIUM, {"target": b"http://127.0.0.1:7817/v1"}),
        (CHROMIUM, {"target": b"127.0.0.1:7817", "method": b"CONNECT"}),
        (with_one_more(b"host", b"127.0.0.1:7817"), {}),
        (with_one_more(b"origin", b"https://evil.example"), {}),
        ([*CHROMIUM, (b"transfer-encoding", b"chunked"), (b"content-length", b"4")], {}),
        ([*CHROMIUM, (b"content-length", b"0"), (b"content-length", b"4")], {}),
    ],
)
def test_what_two_readers_would_read_differently_is_malformed(fields: Fields, line: Any) -> None:
    assert "malformed" == verdict(fields, **line)


def test_a_control_character_in_any_field_is_malformed() -> None:
    for octet in (*range(0x09), *range(0x0A, 0x20), 0x7F):
        for name, value in (*CHROMIUM, (b"x-other", b"")):
            fields = [*changed(name, None), (name, value + bytes((octet,)))]
            assert "malformed" == verdict(fields), (octet, name)
    for octet in (b"\t", b" ", b"\x80", b"\xff"):
        assert isinstance(verdict(with_one_more(b"x-other", b"a" + octet + b"b")), Admission), octet


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        *((CHROMIUM, {"method": method}) for method in (b"POST", b"OPTIONS", b"HEAD", b"PUT", b"get", b"")),
        *(
            (CHROMIUM, {"target": target})
            for target in (b"/", b"/v1/", b"/v1?x=1", b"/v1#", b"//v1", b"/V1", b"/v1/rpc", b"/metrics", b"/healthz")
        ),
        (CHROMIUM, {"target": b"*", "method": b"OPTIONS"}),
        (with_one_more(b"sec-purpose", b"prefetch"), {}),
        (with_one_more(b"sec-purpose", b""), {}),
        (with_one_more(b"sec-fetch-mode", b"cors"), {}),
        (with_one_more(b"sec-fetch-site", b"cross-site"), {}),
        ([*FIREFOX, (b"sec-fetch-mode", b"websocket")], {}),
        (changed(b"sec-fetch-site", b"none", FIREFOX), {}),
        (with_one_more(b"content-length", b"4"), {}),
        (with_one_more(b"transfer-encoding", b"chunked"), {}),
        (changed(b"upgrade", None), {}),
        (changed(b"upgrade", b"h2c"), {}),
        (changed(b"connection", b"keep-alive"), {}),
        (changed(b"connection", b"not-upgrade"), {}),
        (changed(b"sec-websocket-version", b"8"), {}),
        (with_one_more(b"sec-websocket-version", b"13"), {}),
        (changed(b"sec-websocket-key", b"too short"), {}),
        (changed(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZR=="), {}),
        (with_one_more(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="), {}),
        (changed(b"sec-websocket-protocol", None), {}),
        (changed(b"sec-websocket-protocol", b"chat"), {}),
        (changed(b"sec-websocket-protocol", b"Vitale-Reader.1"), {}),
        (changed(b"origin", SITE.encode() + b"\xff"), {}),
    ],
)
def test_what_no_page_sends_is_refused(fields: Fields, line: Any) -> None:
    assert "refused" == verdict(fields, **line)


def test_a_prefetch_is_refused_before_its_origin_is_looked_at() -> None:
    assert "refused" == verdict([*changed(b"origin", None), (b"sec-purpose", b"prefetch;prerender")])


def test_protocols_are_a_list() -> None:
    assert isinstance(verdict(changed(b"sec-websocket-protocol", b"chat, vitale-reader.1")), Admission)
    several = [*changed(b"sec-websocket-protocol", b"chat"), (b"sec-websocket-protocol", b"vitale-reader.1")]
    assert isinstance(verdict(several), Admission)


# ── whatever comes ──


@given(
    st.binary(max_size=20),
    st.binary(max_size=60),
    st.sampled_from([b"1.1", b"1.0"]),
    st.lists(st.tuples(st.sampled_from([name for name, _ in FIREFOX]), st.binary(max_size=40)), max_size=20),
)
def test_arbitrary_heads_are_judged(method: bytes, target: bytes, version: bytes, fields: Fields) -> None:
    assert verdict(fields, method=method, target=target, version=version) in {"refused", "malformed"}


@given(st.sampled_from([name for name, _ in FIREFOX]), st.binary(max_size=8), st.integers(0, 20))
def test_a_handshake_that_is_let_in_can_be_answered(name: bytes, more: bytes, at: int) -> None:
    fields = [(each, value[:at] + more + value[at:] if each == name else value) for each, value in FIREFOX]
    if isinstance(verdict(fields), Admission):
        PageSocket().accept(RequestHead(b"GET", b"/v1", b"1.1", fields))


@given(st.text(max_size=60))
def test_no_other_origin_is_let_in(text: str) -> None:
    found = verdict(changed(b"origin", text.encode("utf-8", "replace")))
    assert isinstance(found, Admission) is (text in ALLOWED)


def test_the_answers_tell_nothing() -> None:
    for answer, status in ((REFUSED, b"403 Forbidden"), (MALFORMED, b"400 Bad Request")):
        line, *fields = answer.split(b"\r\n")
        assert b"HTTP/1.1 " + status == line
        assert [
            b"Content-Length: 0",
            b"Connection: close",
            b"Cross-Origin-Resource-Policy: same-origin",
            b"Cache-Control: no-store",
            b"",
            b"",
        ] == fields


def test_a_handshake_with_bytes_behind_it_is_refused() -> None:
    """They would be frames of a page that was not let in yet, or a second request."""
    assert "refused" == judge(RequestHead(b"GET", b"/v1", b"1.1", CHROMIUM, more=True), ALLOWED_HOSTS)
