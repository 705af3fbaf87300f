"""The plug-in of the page "Export the audit trail": an authority of RFC 3161 stamps what it sends."""

import http.server
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vitale_protocol.errors import VitaleError
from vitale_reader.daemon.audit_export import (
    line_of,
)
from vitale_reader.daemon.keystore.store_keys import Vault
from vitale_reader.daemon.store.local_anchor import Anchor

VAULT = Vault.of_site(b"k" * 32)
STATION = "10000000-0000-4000-8000-000000000000"
PATIENCE = 100.0
ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "how-to" / "export-the-audit-trail.md"

AUTHORITY = """
[tsa]
default_tsa = here
[here]
serial = {0}/serial
signer_cert = {0}/certificate.pem
certs = {0}/certificate.pem
signer_key = {0}/key.pem
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[str]:
    """A time-stamp authority of the test's own (RFC 3161) over HTTP: its URL."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl here, which the example of the page calls")
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "tsa.cnf").write_text(AUTHORITY.format(tmp_path))
    make = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=authority", "-keyout", tmp_path / "key.pem")
    usage = ("-addext", "extendedKeyUsage=critical,timeStamping", "-out", tmp_path / "certificate.pem")
    subprocess.run([program, *make, *usage], check=True, capture_output=True, timeout=PATIENCE)

    class Answering(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            (tmp_path / "query").write_bytes(self.rfile.read(int(self.headers["Content-Length"])))
            command = ("ts", "-reply", "-config", tmp_path / "tsa.cnf", "-queryfile", tmp_path / "query")
            done = subprocess.run(["openssl", *command], check=True, capture_output=True, timeout=PATIENCE)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(done.stdout)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the library's own word
            """Nothing is written to standard error."""

    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def example() -> type[Any]:
    """The plug-in of the page."""
    shown = re.compile(r"<!-- file: time_stamps.py -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = shown.search(PAGE.read_text("utf-8"))
    assert found is not None
    names: dict[str, Any] = {"__name__": "time_stamps"}
    exec(compile(found[1], "time_stamps.py", "exec"), names)  # noqa: S102  our own page
    made: type[Any] = names["TimeStamps"]
    return made


def test_the_plug_in_of_the_page_has_an_end_time_stamped(authority: str, tmp_path: Path) -> None:
    made = example()({"url": authority, "folder": str(tmp_path)})
    line = line_of(VAULT, STATION, Anchor(number=7, mac="07" * 32))
    made.export(line)
    (head,) = tmp_path.glob("*.head")
    assert line == head.read_text()
    command = ("openssl", "ts", "-verify", "-data", head, "-in", head.with_suffix(".tsr"))
    trusting = ("-CAfile", tmp_path / "certificate.pem")
    done = subprocess.run([*command, *trusting], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (0, True) == (done.returncode, "Verification: OK" in done.stdout), done.stderr


def test_the_plug_in_of_the_page_refuses_options_that_it_cannot_use() -> None:
    with pytest.raises(VitaleError):
        example()({"url": 7})
