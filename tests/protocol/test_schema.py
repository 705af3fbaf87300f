"""The generated documents: as the types are, valid in themselves, and true of real messages."""

from importlib import resources
from typing import Any, cast

import jsonschema
import msgspec
import pytest
from jsonschema import Draft202012Validator

from vitale_protocol import methods, schemas
from vitale_protocol.errors import concrete_errors
from vitale_protocol.events import (
    EVENTS,
    LeaseEnded,
    PresentationProgress,
    PresentationToken,
    Reader,
    ReaderEvent,
)
from vitale_protocol.methods import METHODS, SessionOpened
from vitale_protocol.records import Assure, Beneficiaire, Period, Proof, Record
from vitale_protocol.tokens import Claims, Evidence, ReaderClaim

FOLDER = resources.files("vitale_protocol") / "schema"
DOCUMENT = schemas.json_schema()
OPENRPC = schemas.openrpc()
READER = Reader(
    id="pcsc:x", name="Lecteur", driver="pcsc", media=("vitale-card",), state="present", medium="vitale-card"
)
CLAIMS = Claims(
    ver=1,
    iss="urn:vitale-reader:00000000-0000-4000-8000-000000000000",
    aud="c-1",
    iat=1_790_000_000,
    exp=1_790_000_120,
    jti="019a0000-0000-7000-8000-000000000000",
    nonce="n" * 22,
    presented_at=1_789_999_999.75,
    medium="vitale-card",
    proof=Proof(method="card-clear-read", verified=False, freshness="window"),
    origin="simulated",
    reader=ReaderClaim(id="pcsc:x", driver="pcsc"),
    scopes=("identity",),
    record=Record(
        assure=Assure(nir="1850699999999"),
        beneficiaires=(Beneficiaire(prenom="ÉLODIE", droits_amo=(Period(debut="20260101"),)),),
        porteur=0,
    ),
    evidence=Evidence(sha256="0" * 64),
)


def validate(name: str, value: object) -> None:
    """Checks a value against one of the types of the document."""
    # Its stubs leave the parameters of ``validate`` untyped.
    validator: Any = Draft202012Validator(DOCUMENT | {"$ref": f"#/$defs/{name}"})
    validator.validate(value)


def on_the_wire(message: msgspec.Struct) -> Any:
    return msgspec.json.decode(msgspec.json.encode(message))


@pytest.mark.parametrize("name", schemas.documents())
def test_the_files_are_as_the_types(name: str) -> None:
    """When this fails: ``make reference``."""
    assert (FOLDER / name).read_bytes() == schemas.documents()[name]


def test_the_folder_has_nothing_else() -> None:
    assert {file.name for file in FOLDER.iterdir()} == set(schemas.documents())


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(DOCUMENT)


def test_every_message_has_its_schema() -> None:
    names = {declared.__name__ for method in METHODS.values() for declared in (method.params, method.result)}
    names |= {event.__name__ for event in EVENTS.values()} | {"Record", "Claims"}
    assert names <= set(DOCUMENT["$defs"])


@pytest.mark.parametrize(
    "message",
    [
        CLAIMS,
        CLAIMS.record,
        methods.SessionOpen(protocol=(1,), client=methods.Identity(name="essai")),
        methods.SessionPing(),
        methods.SessionPonged(time=1.5),
        methods.PresentationRequest(nonce="n" * 22, media=("vitale-card",), purpose=("fse",), timeout_ms=1_000),
        methods.PresentationRequest(nonce="n" * 22, purpose="fse"),
        methods.PresentationResult(presentation="p", token="a.b.c", claims=CLAIMS),
        methods.PresentationCancel(request="a"),
        methods.OutboxAck(jti=("j",)),
        methods.ReadersListed(readers=(READER,)),
        methods.ClientsAdd(name="essai", scopes=("nir",), transports=("tls",)),
        methods.PresentationsSubscribe(nonce="n" * 22, media=("vitale-card",)),
        methods.LeaseAcquire(reader="pcsc:a", previous=None, ttl_ms=100),
        methods.LeaseAcquired(lease="l", atr="3B00", expires_at=1.5),
        methods.CardTransmit(lease="l", apdus=("00A40000023F00",)),
        methods.CardTransmitted(responses=("9000",)),
        methods.Done(),
        PresentationToken(subscription="s", presentation="p", token="a.b.c", claims=CLAIMS),
        LeaseEnded(lease="l", why="card"),
        ReaderEvent(reader=READER),
        PresentationProgress(request=1, step="armed", message="Insérez la carte."),
    ],
    ids=lambda message: type(message).__name__,
)
def test_messages_are_as_the_schema_says(message: msgspec.Struct) -> None:
    validate(type(message).__name__, on_the_wire(message))


def test_the_answer_to_session_open_is_as_the_schema_says(opened: SessionOpened) -> None:
    validate("SessionOpened", on_the_wire(opened))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SessionOpen", {}),
        ("SessionPing", {"x": 1}),
        ("PresentationRequest", {"nonce": "n" * 21}),
        ("PresentationRequest", {"nonce": "n" * 21 + "="}),
        ("PresentationRequest", {"nonce": "n" * 22 + "\n"}),
        ("PresentationRequest", {"nonce": "n" * 22, "media": ["bank-card"]}),
        ("PresentationRequest", {"nonce": "n" * 22, "timeout_ms": 999}),
        ("PresentationCancel", {"request": 1.5}),
        ("Claims", {}),
        ("Record", {"assure": {"nir": 1}}),
    ],
    ids=repr,
)
def test_what_the_types_refuse_the_schema_refuses(name: str, value: object) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(name, value)
    declared = {declared.__name__: declared for declared in schemas.message_types()}[name]
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, declared)


def test_openrpc_has_every_method_every_event_and_every_error() -> None:
    assert [method["name"] for method in OPENRPC["methods"]] == list(METHODS)
    assert [event["name"] for event in OPENRPC["x-notifications"]] == list(EVENTS)
    assert set(OPENRPC["components"]["errors"]) == {error.reason for error in concrete_errors() if error.code}
    assert [method["name"] for method in OPENRPC["methods"] if not method["summary"].endswith(".")] == []


def test_openrpc_says_which_scope_a_method_needs() -> None:
    assert {method["name"]: method["x-scope"] for method in OPENRPC["methods"] if "x-scope" in method} == {
        name: method.scope for name, method in METHODS.items() if method.scope
    }


def test_openrpc_says_which_parameters_are_required() -> None:
    (request,) = (method for method in OPENRPC["methods"] if method["name"] == "presentation.request")
    assert {param["name"]: param["required"] for param in request["params"]} == {
        "nonce": True,
        "media": False,
        "readers": False,
        "scopes": False,
        "purpose": False,
        "timeout_ms": False,
        "progress": False,
    }


def references(value: object) -> list[str]:
    """Every ``$ref`` of a document."""
    if isinstance(value, list):
        return [found for member in cast("list[object]", value) for found in references(member)]
    if not isinstance(value, dict):
        return []
    members = cast("dict[str, object]", value)
    own = [str(members["$ref"])] if "$ref" in members else []
    return own + [found for member in members.values() for found in references(member)]


def test_every_reference_leads_somewhere() -> None:
    assert {ref.rpartition("/")[2] for ref in references(OPENRPC)} <= set(OPENRPC["components"]["schemas"])
    assert {ref.rpartition("/")[2] for ref in references(DOCUMENT)} <= set(DOCUMENT["$defs"])
    assert all(ref.startswith("#/components/schemas/") for ref in references(OPENRPC))


def test_descriptions_have_no_indentation() -> None:
    """They come from docstrings, which Python 3.13 strips and earlier versions do not."""
    assert b"\\n    " not in b"".join(schemas.documents().values())


@pytest.mark.parametrize("params", ["PreviewStart", "PreviewStop", "LeaseAcquire"])
@pytest.mark.parametrize("name", ["", "a\0b", "a\n", "x" * 201])
def test_no_call_names_a_reader_that_no_store_keeps(params: str, name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\$\.reader"):
        msgspec.convert({"reader": name}, getattr(methods, params))
