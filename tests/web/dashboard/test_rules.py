"""The rules of the dashboard: what each browser sends is answered, and nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.test_http_rules import changed
from vitale_reader.web.dashboard.rules import Entering, Show, Verdict, headers, judge
from vitale_reader.web.http_rules import Admission, RequestHead

HOST = b"desk-0123456789abcdef0123456789abcdef.localhost:40001"
OWN = b"http://" + HOST
FILES = {"/", "/app.js", "/style.css"}
TICKET = b"ticket=" + b"T" * 43

Fields = list[tuple[bytes, bytes]]

SCRIPT: Fields = [(b"host", HOST), (b"sec-fetch-site", b"same-origin"), (b"sec-fetch-mode", b"cors")]
PAGE: Fields = [
    (b"host", HOST),
    (b"sec-fetch-site", b"cross-site"),
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
]
FORM: Fields = [
    *PAGE,
    (b"origin", b"null"),
    (b"content-type", b"application/x-www-form-urlencoded"),
    (b"content-length", b"50"),
]
SOCKET: Fields = [
    (b"host", HOST),
    (b"connection", b"Upgrade"),
    (b"upgrade", b"websocket"),
    (b"origin", OWN),
    (b"sec-websocket-version", b"13"),
    (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    (b"sec-websocket-protocol", b"vitale-reader.1"),
]


def verdict(
    target: bytes, fields: Fields, *, method: bytes = b"GET", body: bytes = b"", version: bytes = b"1.1"
) -> Verdict:
    return judge(RequestHead(method, target, version, fields, body), HOST, FILES)


def entering(body: bytes, fields: Fields = FORM, **options: bytes) -> Verdict:
    return verdict(b"/enter", fields, **{"method": b"POST", "body": body, **options})


# ── what browsers send ──


@pytest.mark.parametrize("target", [b"/app.js", b"/style.css"])
def test_the_page_loads_its_files(target: bytes) -> None:
    assert Show(target.decode()) == verdict(target, SCRIPT)
    assert Show(target.decode()) == verdict(target, [(b"host", HOST)])


def test_the_page_itself_is_loaded_from_anywhere_since_its_name_is_the_secret() -> None:
    assert Show("/") == verdict(b"/", PAGE)


@pytest.mark.parametrize("origin", [b"null", OWN])
def test_a_ticket_comes_from_a_file_and_a_code_from_the_page(origin: bytes) -> None:
    assert Entering("T" * 43) == entering(TICKET, changed(b"origin", origin, FORM))


@pytest.mark.parametrize("typed", [b"BCDF-GHJK", b"bcdfghjk", b"bcdf+ghjk"])
def test_a_code_is_read_as_people_type_it(typed: bytes) -> None:
    assert Entering("BCDFGHJK") == entering(b"code=" + typed)


def test_the_page_opens_its_socket() -> None:
    assert Admission(site=OWN.decode(), host=HOST.decode()) == verdict(b"/v1", SOCKET)


# ── what nobody sends who may come in ──


@pytest.mark.parametrize(
    "host",
    [
        None,
        b"",
        b"127.0.0.1:40001",
        b"localhost:40001",
        HOST + b".",
        HOST.upper(),
        HOST.replace(b"40001", b"40002"),
        b"desk-evil.localhost:40001",
    ],
)
@pytest.mark.parametrize(("target", "fields"), [(b"/", PAGE), (b"/app.js", SCRIPT), (b"/v1", SOCKET)])
def test_another_host_gets_nothing(target: bytes, fields: Fields, host: bytes | None) -> None:
    assert "refused" == verdict(target, changed(b"host", host, fields))


@pytest.mark.parametrize("origin", [b"http://evil.test", b"null", b"https://" + HOST, OWN + b"/", OWN.upper(), b""])
@pytest.mark.parametrize(("target", "fields"), [(b"/", PAGE), (b"/app.js", SCRIPT), (b"/v1", SOCKET)])
def test_a_page_of_another_origin_gets_nothing(target: bytes, fields: Fields, origin: bytes) -> None:
    assert "refused" == verdict(target, changed(b"origin", origin, fields))


@pytest.mark.parametrize("origin", [None, b"http://evil.test", b"http://localhost:40001", b"file://", b""])
def test_a_ticket_is_taken_from_nobody_else(origin: bytes | None) -> None:
    assert "refused" == entering(TICKET, changed(b"origin", origin, FORM))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"content-type", b"text/plain"),
        (b"content-type", b"multipart/form-data; boundary=x"),
        (b"content-type", None),
        (b"sec-fetch-mode", b"cors"),
        (b"sec-fetch-mode", b"no-cors"),
        (b"sec-fetch-dest", b"iframe"),
        (b"sec-purpose", b"prefetch;prerender"),
    ],
)
def test_a_ticket_comes_by_a_form_of_a_page_of_its_own(name: bytes, value: bytes | None) -> None:
    assert "refused" == entering(TICKET, changed(name, value, FORM))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        TICKET + b"&x=1",
        b"x=1&" + TICKET,
        TICKET[:-1],
        TICKET + b"=",
        b"ticket=" + b"%41" * 43,
        b"code=",
        b"code=1",
    ],
)
def test_a_form_says_one_thing(body: bytes) -> None:
    assert "refused" == entering(body)


def test_a_ticket_is_in_no_link() -> None:
    assert "refused" == verdict(b"/enter?" + TICKET, PAGE)
    assert "refused" == verdict(b"/enter", FORM, method=b"GET")
    assert "refused" == verdict(b"/?" + TICKET, PAGE)


@pytest.mark.parametrize("target", [b"/..", b"/words.fr.toml", b"/app.js?x", b"/app.js/", b"//app.js", b"*", b"/\xe9"])
def test_another_path_gets_nothing(target: bytes) -> None:
    assert "refused" == verdict(target, SCRIPT)


@pytest.mark.parametrize("method", [b"HEAD", b"POST", b"OPTIONS", b"PUT", b"get"])
def test_another_method_gets_nothing(method: bytes) -> None:
    assert "refused" == verdict(b"/app.js", SCRIPT, method=method)


@pytest.mark.parametrize("site", [b"cross-site", b"same-site"])
def test_a_file_is_shown_to_no_other_site(site: bytes) -> None:
    assert "refused" == verdict(b"/app.js", changed(b"sec-fetch-site", site, SCRIPT))


@pytest.mark.parametrize("destination", [b"iframe", b"frame", b"object", b"embed", b"empty"])
def test_the_page_is_in_no_frame(destination: bytes) -> None:
    assert "refused" == verdict(b"/", changed(b"sec-fetch-dest", destination, PAGE))


def test_what_readers_of_http_would_take_for_two_requests_is_malformed() -> None:
    assert "malformed" == verdict(b"/", [*PAGE, (b"host", HOST)])
    assert "malformed" == verdict(b"/", PAGE, version=b"1.0")
    assert "malformed" == verdict(b"http://evil.test/", PAGE)
    assert "malformed" == entering(TICKET, [*FORM, (b"transfer-encoding", b"chunked")])


NAMES = st.sampled_from([b"host", b"origin", b"sec-fetch-site", b"content-type", b"upgrade", b"x"])


@given(
    st.sampled_from([b"GET", b"POST", b"HEAD"]),
    st.sampled_from([b"/", b"/enter", b"/v1", b"/app.js"]) | st.binary(max_size=30),
    st.lists(st.tuples(NAMES, st.binary(max_size=20)), max_size=6),
    st.binary(max_size=60),
)
def test_nothing_is_let_in_without_the_name(method: bytes, target: bytes, fields: Fields, body: bytes) -> None:
    assert verdict(target, fields, method=method, body=body) in {"refused", "malformed"}


# ── what is answered ──


def told(*, clears: bool = False) -> dict[str, str]:
    lines = headers(HOST.decode(), "text/html; charset=utf-8", 7, clears=clears).decode().split("\r\n")[:-2]
    return dict(line.split(": ", 1) for line in lines)


def test_the_policy_names_nobody_but_this_page() -> None:
    rules = dict(rule.split(" ", 1) for rule in told()["Content-Security-Policy"].split("; "))
    expected = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": f"'self' ws://{HOST.decode()}",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert expected == rules


def test_the_policy_leaves_no_way_that_evaluators_know() -> None:
    policy = told()["Content-Security-Policy"]
    for loose in ("unsafe-inline", "unsafe-eval", "unsafe-hashes", "data:", "https:", "http:", "*", "strict-dynamic"):
        assert loose not in policy
    assert not re.search(r"(script|object|default)-src[^;]*blob:", policy)


def test_the_other_fields_are_those_of_the_contract() -> None:
    expected = {
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
        "Permissions-Policy": "camera=(self)",
        "Connection": "close",
    }
    assert expected.items() <= told().items()
    assert not {"Set-Cookie", "Access-Control-Allow-Origin", "Server", "Date"} & told().keys()
    assert "Clear-Site-Data" not in told()
    assert '"storage"' == told(clears=True)["Clear-Site-Data"]
