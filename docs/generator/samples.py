"""One example of each message, checked against its type when the pages are made; every person is invented."""

from typing import Any

import msgspec

from vitale_protocol.events import EVENTS
from vitale_protocol.methods import METHODS

__all__ = ["NOTIFICATIONS", "REQUESTS", "exchange", "notification"]

STATION = {
    "id": "0b1f6c1e-6d0c-4a44-9d0e-3f8d2f5e7a10",
    "name": "Comptoir 1",
    "version": "0.1.0",
    "mode": "simulated",
}
READER = {
    "id": "pcsc:virtual-pcd-00",
    "name": "Virtual PCD 00 00",
    "driver": "pcsc",
    "media": ["vitale-card", "cps-card"],
    "state": "present",
    "medium": "vitale-card",
    "simulated": True,
}
JWKS = {"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "…", "x": "…", "y": "…"}]}
NONCE = "q3J0c2hYb1ZrT2dLd2JzUA"
JTI = "019a9b3c-5f7e-7c11-9a52-0d4c6f1be0aa"
CONTEXT = {
    "identifiant": "ctx-7d1f0c52",
    "token": "PHNhbWw6QXNzZXJ0aW9u…",
    "date_fin_validite": "2026-11-01T09:30:00Z",
}
SUBSCRIPTION = "sub-7f3a91c2e0b44d18"
LEASE = "kq2XbVw1t0yP8sDfGh3JmA"
IMAGER = "scanner:0c2e-0b6a-15215B0A2C"
CLIENT_ID = "logiciel-de-facturation-7f3a"
CLAIMS = {
    "ver": 1,
    "iss": f"urn:vitale-reader:{STATION['id']}",
    "aud": CLIENT_ID,
    "iat": 1793520000,
    "exp": 1793520120,
    "jti": JTI,
    "nonce": NONCE,
    "presented_at": 1793519999.71,
    "medium": "vitale-card",
    "proof": {"method": "card-clear-read", "verified": False, "freshness": "none"},
    "origin": "simulated",
    "reader": {"id": READER["id"], "driver": "pcsc"},
    "scopes": ["identity"],
    "record": {
        "beneficiaires": [
            {
                "nom_usuel": "MARTIN",
                "prenom": "CAMILLE",
                "date_naissance": "19800214",
                "date_naissance_iso": "1980-02-14",
            }
        ],
        "porteur": 0,
    },
    "evidence": {"sha256": "5d0f…"},
}
SUBMITTED = CLAIMS | {
    "medium": "apcv-qr",
    "proof": {"method": "apcv-transported", "verified": False, "freshness": "none"},
    "reader": {"id": "submitted", "driver": "submit"},
    "record": {},
}
CAMERA = "camera:046d-0825-a1b2c3d4"
DESK: dict[str, Any] = {
    "waiting": [{"client": "Logiciel de facturation", "media": ["vitale-card"]}],
    "drivers": [{"name": "pcsc", "state": "ready", "media": ["vitale-card"], "pid": 4242, "version": "2.3.1"}],
    "last": {
        "at": 1793519990.2,
        "client": "Logiciel de facturation",
        "medium": "vitale-card",
        "reader": READER["id"],
    },
}
SLOT: dict[str, Any] = {"place": "slot", "kind": "card", "things": ["adulte", "famille"]}

#: Parameters and result of each method.
REQUESTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "session.open": (
        {"protocol": [1], "client": {"name": "Logiciel de facturation", "version": "12.4"}},
        {
            "protocol": 1,
            "session": "s-4",
            "client_id": CLIENT_ID,
            "scopes": ["identity", "nir"],
            "station": STATION,
            "jwks": JWKS,
            "limits": {
                "message_bytes": 1048576,
                "depth": 32,
                "batch": 50,
                "sessions": 64,
                "requests": 32,
                "open_seconds": 10,
            },
        },
    ),
    "session.challenge": (
        {
            "kid": "sZqvFJhWwWfMcRWekPaNRmEJ2KhMo5fJ8ZEIRIApIpI",
            "client_nonce": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
            "epk": "BC-quZfcdJWlahQfx2dJjqCwY65KkbxAVUU_7WfnnwVfOaIKLFq1YIfiQ_6pjmr-soVeoJImhetpZvE17EgMWEM",
        },
        {
            "challenge": "QEFCQ0RF…",
            "epk": "BBoytyB9…",
            "station": "urn:vitale-reader:7f1c0b6e-3f0e-4a51-9d0f-0d6a4c0f5f11",
            "expires": 1793520030,
            "proof": "eyJ0eXAiOiJ2ci1zdGF0aW9uK2p3dCIs…",
        },
    ),
    "session.ping": ({}, {"time": 1793520000.25}),
    "station.info": (
        {},
        {
            "station": STATION,
            "media": ["vitale-card", "cps-card"],
            "drivers": [
                {
                    "name": "pcsc",
                    "state": "ready",
                    "media": ["vitale-card", "cps-card"],
                    "pid": 4242,
                    "version": "2.3.1",
                }
            ],
            "uptime": 3600.5,
            "resolver": {"name": "none", "state": "none"},
        },
    ),
    "station.keys": ({}, {"jwks": JWKS}),
    "readers.list": ({}, {"readers": [READER]}),
    "readers.watch": ({}, {"readers": [READER]}),
    "readers.unwatch": ({}, {}),
    "presentation.request": (
        {"nonce": NONCE, "media": ["vitale-card"], "scopes": ["identity"], "timeout_ms": 60000},
        {"presentation": "0d9c6a5e-51e8-4f7b-8f0a-6a1c7a1de111", "token": "eyJ0eXAiOiJ2aXRhbGUt…", "claims": CLAIMS},
    ),
    "presentation.submit": (
        {"nonce": NONCE, "payload": "VITALESIM.…", "scopes": ["identity"]},
        {
            "presentation": "0d9c6a5e-51e8-4f7b-8f0a-6a1c7a1de112",
            "token": "eyJ0eXAiOiJ2aXRhbGUt…",
            "claims": SUBMITTED,
        },
    ),
    "presentation.cancel": ({"request": 7}, {"cancelled": True}),
    "presentations.subscribe": ({"nonce": NONCE, "media": ["vitale-card"]}, {"subscription": SUBSCRIPTION}),
    "presentations.unsubscribe": ({"subscription": SUBSCRIPTION}, {}),
    "codes.subscribe": ({"readers": [IMAGER]}, {"subscription": SUBSCRIPTION}),
    "codes.unsubscribe": ({"subscription": SUBSCRIPTION}, {}),
    "preview.start": ({"reader": CAMERA, "every_ms": 200}, {"reader": CAMERA, "every_ms": 200}),
    "preview.stop": ({"reader": CAMERA}, {}),
    "outbox.list": (
        {"limit": 1},
        {
            "tokens": [{"jti": JTI, "exp": 1793520120, "token": "eyJ0eXAiOiJ2aXRhbGUt…"}],
            "more": f"1793520120~{JTI}",
        },
    ),
    "outbox.ack": ({"jti": [JTI]}, {"acked": 1}),
    "context.restore": ({"identifiant": CONTEXT["identifiant"]}, CONTEXT | {"confirmed": True}),
    "context.sign": (
        {
            "identifiant": CONTEXT["identifiant"],
            "invoice_b64": "eyJwcm9mZXNzaW9ubmVsIjogIkRyIEVTU0FJIiwgImNlbnRpbWVzIjogMjY1MH0=",
        },
        {"signature_b64": "c2ltdWxhdGVkOlZiMVF5MA==", "origin": "simulated"},
    ),
    "context.release": ({"identifiant": CONTEXT["identifiant"]}, {"released": True}),
    "lease.acquire": (
        {"reader": READER["id"], "previous": None, "ttl_ms": 5000},
        {"lease": LEASE, "atr": "3B7513000044093EA620", "expires_at": 1793520005.0},
    ),
    "lease.renew": ({"lease": LEASE, "ttl_ms": 5000}, {"expires_at": 1793520008.2}),
    "lease.release": ({"lease": LEASE}, {"released": True}),
    "card.transmit": ({"lease": LEASE, "apdus": ["00A40000023F00"]}, {"responses": ["9000"]}),
    "clients.add": (
        {"name": "Logiciel de facturation", "scopes": ["identity", "nir"], "transports": ["tls"]},
        {
            "client_id": CLIENT_ID,
            "certificate": "-----BEGIN CERTIFICATE-----…",
            "private_key": "-----BEGIN PRIVATE KEY-----…",
            "daemon_certificate": "-----BEGIN CERTIFICATE-----…",
            "daemon_certificate_sha256": "9f2c…",
        },
    ),
    "clients.list": (
        {},
        {
            "clients": [
                {
                    "client_id": CLIENT_ID,
                    "name": "Logiciel de facturation",
                    "scopes": ["identity", "nir"],
                    "transports": ["tls"],
                    "created_at": 1793510000.0,
                }
            ]
        },
    ),
    "clients.revoke": ({"client_id": CLIENT_ID}, {"revoked": True, "sessions": 1}),
    "credential.rotate": (
        {
            "jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            },
            "proof_old": "eyJ0eXAiOiJ2ci1yb3RhdGUrand0Iiwi…",
            "proof_new": "eyJ0eXAiOiJ2ci1yb3RhdGUrand0Iiwi…",
        },
        {"kid": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U"},
    ),
    "pairing.open": (
        {},
        {"expires": 1793520120.0, "attempts": [{"site": "https://facturation.example.fr", "at": 1793519940.5}]},
    ),
    "pairing.wait": (
        {},
        {
            "site": "https://facturation.example.fr",
            "name": "Facturation",
            "scopes": ["identity", "nir"],
            "registrable": "example.fr",
            "warnings": ["first_seen"],
        },
    ),
    "pairing.accept": (
        {"code": "363000", "scopes": ["identity"]},
        {"client_id": "page-0d6a4c0f5f117f1c", "site": "https://facturation.example.fr"},
    ),
    "pairing.close": ({}, {}),
    "pairing.request": (
        {
            "name": "Facturation",
            "scopes": ["identity", "nir"],
            "jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            },
            "commit": "oyLR-W46ZLlyMnWqO8rfdmJqGLsoiXI71IwywjiQC7A",
        },
        {
            "pairing": "9b2d3c…",
            "station_jwk": {
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            },
            "nonce_d": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8",
            "expires": 1793520120.0,
        },
    ),
    "pairing.reveal": (
        {"pairing": "9b2d3c…", "nonce_p": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
        {"client_id": "page-0d6a4c0f5f117f1c", "scopes": ["identity"]},
    ),
    "keys.rotate": ({}, {"kid": "…"}),
    "dashboard.open": (
        {},
        {
            "url": "http://desk-5c9d0b9a3d0f4a0e8f0c6a2b7d1e9f34.localhost:41873/",
            "file": "/run/user/1000/vitale-reader/dashboard-7f3a1c08.html",
            "code": "BCDF-GHJK",
            "expires": 1793520060.0,
        },
    ),
    "desk.watch": ({}, {"desk": DESK}),
    "desk.unwatch": ({}, {}),
    "desk.show": ({}, {}),
    "reading.once": (
        {"scopes": ["identity"]},
        {
            "medium": "vitale-card",
            "origin": "unknown",
            "proof": {"method": "card-clear-read", "verified": False, "freshness": "none"},
            "reader": READER["id"],
            "record": {"beneficiaires": [{"nom_usuel": "DURAND", "prenom": "MARIE"}], "porteur": 0},
        },
    ),
    "sim.attach": ({"places": [SLOT]}, {}),
    "sim.acted": ({"act": 3, "places": [SLOT | {"holds": "adulte"}]}, {}),
    "sim.play": ({"place": "slot", "thing": "adulte"}, {}),
    "drivers.restart": ({"name": "pcsc"}, {}),
    "leases.free": ({"reader": READER["id"]}, {"released": True}),
    "audit.verify": (
        {},
        {"whole": True, "chains": [{"rows": 1204, "station": "6f1c8c52-6f0e-4b52-9f0e-6d5f0b7b8a11"}]},
    ),
    "config.check": (
        {},
        {
            "path": "/etc/vitale-reader/config.toml",
            "exists": True,
            "settings": {"station": {"name": "Comptoir 1", "mode": "production"}},
            "settable": [{"key": "station.name"}, {"key": "log.file", "choices": ["true", "false"]}],
        },
    ),
    "config.set": (
        {"key": "station.name", "value": "Comptoir 2", "confirmed": "station.name"},
        {"key": "station.name", "changed": True},
    ),
    "diagnostics.bundle": (
        {},
        {"zip_b64": "UEsDBBQAAAAIA…", "files": [{"name": "report.txt", "kind": "report", "size": 1830}]},
    ),
    "diagnostics.run": (
        {},
        {
            "healthy": False,
            "findings": [
                {
                    "id": "usb_galss",
                    "subject": "usb",
                    "state": "wrong",
                    "title": "Lecteur en mode GALSS : INGENICO Lecteur SESAM VITALE (0b00:0090)",
                    "cause": "Ce lecteur bi-fente parle au GALSS par une liaison série…",
                    "remedy": "Dans le menu du lecteur, activez le mode PC/SC…",
                    "data": {"number": "0b00:0090"},
                },
                {
                    "id": "port_ours",
                    "subject": "port",
                    "state": "ok",
                    "title": "Port 7816 tenu par le service de ce poste",
                },
            ],
        },
    ),
}

#: Parameters of each notification.
NOTIFICATIONS: dict[str, dict[str, Any]] = {
    "reader.added": {"reader": READER},
    "reader.changed": {"reader": READER | {"state": "busy"}},
    "reader.removed": {"reader": READER | {"state": "unavailable"}},
    "presentation.progress": {
        "request": 7,
        "step": "armed",
        "message": "Insérez la carte Vitale.",
    },
    "presentation.token": {
        "subscription": SUBSCRIPTION,
        "presentation": "0d9c6a5e-51e8-4f7b-8f0a-6a1c7a1de113",
        "token": "eyJ0eXAiOiJ2aXRhbGUt…",
        "claims": CLAIMS,
    },
    "presentation.failed": {
        "subscription": SUBSCRIPTION,
        "reason": "medium_mute",
        "message": "La carte ne répond pas",
        "remedy": "Réinsérez la carte, puce en avant et vers le haut.",
        "reader": READER["id"],
    },
    "lease.ended": {"lease": LEASE, "why": "card"},
    "context.expiring": {
        "identifiant": CONTEXT["identifiant"],
        "date_fin_validite": CONTEXT["date_fin_validite"],
    },
    "desk.changed": DESK,
    "simulator.act": {"act": 3, "place": "slot", "thing": "adulte"},
    "code.read": {
        "subscription": SUBSCRIPTION,
        "reader": IMAGER,
        "symbology": "gs1-datamatrix",
        "data": "010340093000012017271231109A5C\x1d21000000000042",
        "gs1": {"gtin": "03400930000120", "lot": "9A5C", "expiry": "2027-12-31", "serial": "000000000042"},
        "format": "gs1",
    },
    "preview.frame": {
        "reader": CAMERA,
        "at": 1793519999.71,
        "jpeg_b64": "/9j/4AAQSkZJRg…",
        "codes": [[[0.41, 0.3], [0.62, 0.31], [0.61, 0.59], [0.4, 0.58]]],
    },
}


def exchange(method: str) -> str:
    """A request and its answer, one message a line.

    Raises:
        msgspec.ValidationError: the example is not what the types say.
    """
    params, result = REQUESTS[method]
    msgspec.convert(params, METHODS[method].params)
    msgspec.convert(result, METHODS[method].result)
    request = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
    return fence(request, {"jsonrpc": "2.0", "id": 7, "result": result})


def notification(event: str) -> str:
    """A notification.

    Raises:
        msgspec.ValidationError: the example is not what the type says.
    """
    msgspec.convert(NOTIFICATIONS[event], EVENTS[event])
    return fence({"jsonrpc": "2.0", "method": event, "params": NOTIFICATIONS[event]})


def fence(*messages: dict[str, Any]) -> str:
    """Messages as a block of JSON, short ones on one line."""
    lines = [msgspec.json.encode(message).decode() for message in messages]
    texts = [line if len(line) < 120 else msgspec.json.format(line.encode(), indent=2).decode() for line in lines]
    return "```json\n" + "\n".join(texts) + "\n```"
