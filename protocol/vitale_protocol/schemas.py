"""The JSON Schema and OpenRPC documents in ``schema/``, generated from the typed messages.

``make reference`` writes them anew; a test fails when they differ from the types.
"""

import inspect
from typing import Any, Final, cast

import msgspec

from vitale_protocol import catalogue
from vitale_protocol.claims import Claims
from vitale_protocol.errors import VitaleError, concrete_errors
from vitale_protocol.events import EVENTS
from vitale_protocol.methods import METHODS, PROTOCOL_VERSION, Method
from vitale_protocol.records import Record

__all__ = ["documents", "json_schema", "openrpc"]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Document = dict[str, Any]


def message_types() -> list[type[msgspec.Struct]]:
    """Every type of the wire, each once, in the order of the tables."""
    found: dict[type[msgspec.Struct], None] = {}
    for method in METHODS.values():
        found |= {method.params: None, method.result: None}
    found |= dict.fromkeys(EVENTS.values())
    found |= {Record: None, Claims: None}
    return list(found)


def json_schema() -> Document:
    """All types, each under ``$defs`` by its name."""
    return {
        "$schema": DIALECT,
        "$id": f"urn:vitale-reader:schema:{PROTOCOL_VERSION}",
        "title": f"vitale-reader, the wire, version {PROTOCOL_VERSION}",
        "$defs": _components("#/$defs/{name}"),
    }


def openrpc() -> Document:
    """The methods, and as ``x-notifications`` what the daemon sends by itself (OpenRPC 1.3 has no word for it)."""
    schemas = _components("#/components/schemas/{name}")
    return {
        "openrpc": "1.3.2",
        "info": {
            "title": "vitale-reader",
            "version": str(PROTOCOL_VERSION),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "methods": [_method(method, schemas) for method in METHODS.values()],
        "x-notifications": [
            {"name": name, "summary": _summary(event), "params": _parameters(event, schemas)}
            for name, event in EVENTS.items()
        ],
        "components": {
            "schemas": schemas,
            "errors": {error.reason: _error(error) for error in concrete_errors() if error.code},
        },
    }


def documents() -> dict[str, bytes]:
    """The files of ``schema/`` by name, as they must be."""
    return {"messages.schema.json": _text(json_schema()), "openrpc.json": _text(openrpc())}


def _components(template: str) -> Document:
    _, components = msgspec.json.schema_components(message_types(), ref_template=template)
    return cast("Document", _cleaned(components))


def _cleaned(value: object) -> object:
    # Python 3.13 strips the indentation of docstrings when it compiles, earlier versions do not.
    match value:
        case dict():
            members = cast("dict[str, object]", value)
            return {name: _described(name, member) for name, member in members.items()}
        case list() | tuple():
            return [_cleaned(item) for item in cast("list[object]", value)]
        case _:
            return value


def _described(name: str, member: object) -> object:
    if name == "description" and isinstance(member, str):
        return inspect.cleandoc(member)
    return _cleaned(member)


def _method(method: Method, schemas: Document) -> Document:
    described: Document = {
        "name": method.name,
        "summary": method.summary,
        "paramStructure": "by-name",
        "params": _parameters(method.params, schemas),
        "result": {"name": method.result.__name__, "schema": _reference(method.result)},
    }
    if method.scope:
        described["x-scope"] = method.scope
    return described


def _parameters(declared: type[msgspec.Struct], schemas: Document) -> list[Document]:
    schema = schemas[declared.__name__]
    required = schema.get("required", ())
    return [
        {"name": name, "required": name in required, "schema": member} for name, member in schema["properties"].items()
    ]


def _reference(declared: type[msgspec.Struct]) -> Document:
    return {"$ref": f"#/components/schemas/{declared.__name__}"}


def _error(error: type[VitaleError]) -> Document:
    described: Document = {
        "code": error.code,
        "message": catalogue.text(error.reason, "en").title,
        "data": {"reason": error.reason, "retryable": error.retryable},
    }
    if variants := sorted(catalogue.variants(error.reason)):
        described["x-variants"] = variants
    return described


def _summary(declared: type[msgspec.Struct]) -> str:
    return inspect.cleandoc(declared.__doc__ or "").partition("\n")[0]


def _text(document: Document) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
