"""Nothing about a person gets out: a whole run, then a search through all that it wrote.

The canaries are the names, NIRs and birth dates of the card images, every token and every credential. They may be in
the answers to whoever asked, and nowhere else.
"""

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vitale_firmware_sim.images import load_image
from vitale_protocol.errors import VitaleError
from vitale_reader import PresentationProgress

IMAGES = ("adulte", "famille", "date-fictive")


def canaries_of(image: str) -> set[str]:
    """What must not be found, as text; short given names are left out, being words of other things."""
    found: set[str] = set()
    for person in load_image(image).beneficiaires:
        for text in (person.nom, person.prenom, person.date_naissance, person.nir, (person.nir or "")[:13]):
            if text and len(text) > 4:
                found |= {text, text.encode("latin-1").hex(), text.encode("latin-1").hex(" ")}
    return found


def test_nothing_about_a_person_is_written_anywhere(
    daemon: Any, virtual_card: Callable[..., Any], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets: set[str] = set()
    told: list[str] = []

    def listen(progress: PresentationProgress) -> None:
        told.append(f"{progress.message} {progress.remedy} {progress.reader}")

    with daemon.connect() as reader:
        added = reader.add_client("Officine", scopes=["identity"], transports=["unix", "tls"])
        secrets |= {added.credential or "", (added.private_key or "").splitlines()[1]}
        for image in IMAGES:
            card = virtual_card(image)
            readings = [
                reader.read(
                    scopes=["identity", "nir", "dependants"], timeout=30, on_progress=listen, acknowledge=acknowledge
                )
                for acknowledge in (False, True)
            ]
            for found in readings:
                secrets |= {found.token, found.token.split(".")[1], found.token.split(".")[2]}
                told.append(repr(found))
            card.remove()
            reader.wait_until_empty(readings[0].claims.reader.id)
        for faults in ("wrong-length", "truncated-tlv", "withdrawn@60", "hiccup=9", "mute"):
            card = virtual_card("famille", faults=faults)
            with pytest.raises(VitaleError) as refused:
                reader.read(timeout=30, on_progress=listen)
            told.append(f"{refused.value!r} {refused.value} {refused.value.data}")
            card.close()
            for one in reader.readers():
                reader.wait_until_empty(one.id)
    with socket.socket(socket.AF_UNIX) as hostile:
        hostile.connect(daemon.endpoints.unix)
        for token in secrets:
            hostile.sendall(
                json.dumps({"jsonrpc": "2.0", "id": token, "method": token, "params": {token: token}}).encode() + b"\n"
            )
            told.append("" if hostile.recv(65_536) else "no answer")
    assert daemon.stop() == 0
    secrets |= set[str]().union(*(canaries_of(image) for image in IMAGES))
    secrets.discard("")
    output = capfd.readouterr()
    written = {"told to the client": "\n".join(told), "standard output": output.out, "standard error": output.err}
    for file in (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix not in {".pem", ".key"}):
        written[file.name] = file.read_bytes().decode("latin-1")
    assert {"daemon.log", "store.db", "station.json"} <= written.keys()
    leaks = {(where, secret[:4]) for where, text in written.items() for secret in secrets if secret in text}
    assert not leaks
    assert "Presented" in daemon.log, "the log was not at its most talkative"


def test_the_search_would_find_a_leak() -> None:
    assert any(text in "le patient EXEMPLE-MARCHAND est là" for text in canaries_of("adulte"))
