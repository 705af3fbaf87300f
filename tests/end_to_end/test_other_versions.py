"""An SDK of a version before at the daemon of today, and the SDK of today at a daemon of a version before.

The version before is a commit of this repository, with the libraries of today. What it cannot do is no part of it.
"""

import io
import json
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.posix

ROOT = Path(__file__).parents[2]
#: The wire of 26 November 2026, before most of what was added to it since.
BEFORE = "8b8bfd8"
#: The folders from which a version is imported, below its root.
FOLDERS = (".", "protocol", "drivers", "firmware-sim")
PATIENCE = 100.0
SETTINGS = '[station]\nmode = "simulated"\n[drivers]\nenabled = ["simulated-card"]\n[tls]\nport = 0\n'

#: What a program does with the SDK, told as JSON; only what both versions have.
PROGRAM = """
import json, sys
import vitale_reader
assert vitale_reader.__file__.startswith(sys.argv[1]), vitale_reader.__file__
INS = ("IS010000000000000000000000S1277010115400329S21.2.250.1.213.1.4.8\\x1dS3SARAH-LOU ANNA\\x1d"
       "S4GARCIA-HAMMADI\\x1dS5FS625-01-1977S701154")
told = {}
with vitale_reader.connect() as own:
    told["ping"] = own.ping() >= 0
    told["mode"] = own.station().station.mode
    while not (readers := own.readers()):
        pass  # a driver may take longer than a daemon
    (reader,) = readers
    told["driver"] = reader.driver
    read = own.read(scopes=["identity", "nir"], timeout=30, acknowledge=False)
    told["read"] = [read.medium, read.proof.method, read.origin, read.holder.prenom]
    keys, audience, nonce = own.keys(), read.claims.aud, read.claims.nonce
    claims = vitale_reader.verify(read.token, jwks=keys, audience=audience, nonce=nonce)
    told["verified"] = claims.jti == read.claims.jti
    told["listed"] = [token.jti for token in own.pending()] == [read.claims.jti]
    told["acknowledged"] = own.acknowledge(read.claims.jti)
    steps = []
    own.read(scopes=["identity"], timeout=30, on_progress=lambda update: steps.append(update.step))
    told["steps"] = "armed" in steps
    told["submitted"] = own.submit(INS, scopes=["identity"]).medium
    try:
        own.read(scopes=["identity"], media=["apcv-nfc"], timeout=30)
    except vitale_reader.VitaleError as error:
        told["without a reader"] = error.reason
    added = own.add_client("other", scopes=["identity"], transports=["tls"])
    with vitale_reader.connect(pairing=vitale_reader.Pairing.of(added, address=None)) as other:
        try:
            other.read(scopes=["nir"], timeout=30)
        except vitale_reader.VitaleError as error:
            told["beyond its scopes"] = error.reason
        told["other"] = other.read(scopes=["identity"], timeout=30).claims.aud == added.client_id
    with own.lease(reader.id) as lease:
        told["lease"] = len(lease.atr) > 0
    told["rotated"] = own.rotate_keys() in [key["kid"] for key in own.keys()["keys"]]
    told["revoked"] = own.revoke_client(added.client_id).revoked
print(json.dumps(told))
"""

DONE = {
    "ping": True,
    "mode": "simulated",
    "driver": "simulated-card",
    "read": ["vitale-card", "card-clear-read", "simulated", "CLAIRE"],
    "verified": True,
    "listed": True,
    "acknowledged": 1,
    "steps": True,
    "submitted": "ins-datamatrix",
    "without a reader": "no_reader",
    "beyond its scopes": "not_authorised",
    "other": True,
    "lease": True,
    "rotated": True,
    "revoked": True,
}


@pytest.fixture(scope="module")
def before() -> Generator[Path]:
    """The version before, as it was."""
    parts = ("vitale_reader", "protocol", "drivers", "firmware-sim", "setup.cfg")
    command = ("git", "-C", str(ROOT), "archive", "--format=zip", BEFORE, *parts)
    try:
        archive = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip(f"this copy of the repository has no history with {BEFORE}: clone it whole")
    with tempfile.TemporaryDirectory(prefix="vitale-before-") as folder:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            files.extractall(folder)
        told = Path(folder, "vitale_reader-0.dist-info")
        told.mkdir()
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: vitale-reader\nVersion: 0\n", "utf-8")
        # Its drivers are found by their entry points.
        points = "[vitale_reader.drivers]\nsimulated-card = vitale_firmware_sim.driver:SimulatedCardDriver\n"
        (told / "entry_points.txt").write_text(points, "utf-8")
        yield Path(folder)


def environment(version: Path, home: Path) -> dict[str, str]:
    paths = ":".join(str(version / folder) for folder in FOLDERS)
    return {"PATH": "/usr/bin:/bin", "HOME": str(home), "VITALE_READER_HOME": str(home), "PYTHONPATH": paths}


@contextmanager
def serving(version: Path, home: Path) -> Generator[None]:
    """A daemon of a version, until it is not needed."""
    (home / "config.toml").touch(mode=0o600)
    (home / "config.toml").write_text(SETTINGS, "utf-8")
    with (home / "log").open("wb") as log:
        command = (sys.executable, "-P", "-m", "vitale_reader", "serve")
        daemon = subprocess.Popen(command, cwd=home, env=environment(version, home), stdout=log, stderr=log)
    try:
        never = threading.Event()
        for _ in range(int(PATIENCE / 0.05)):
            if (home / "run" / "endpoints.json").exists() or daemon.poll() is not None:
                break
            never.wait(0.05)
        assert daemon.poll() is None, (home / "log").read_text("utf-8")
        yield
    finally:
        daemon.terminate()
        daemon.wait(PATIENCE)
        print((home / "log").read_text("utf-8"))


def program(version: Path, home: Path) -> Sequence[str]:
    return (sys.executable, "-P", "-c", PROGRAM, str(version))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("daemon_is_older", [False, True], ids=["an older SDK", "an older daemon"])
def test_versions_understand_one_another(before: Path, tmp_path: Path, daemon_is_older: bool) -> None:
    tmp_path.chmod(0o700)
    daemon, sdk = (before, ROOT) if daemon_is_older else (ROOT, before)
    with serving(daemon, tmp_path):
        command = program(sdk, tmp_path)
        environ = environment(sdk, tmp_path)
        done = subprocess.run(
            command, env=environ, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False
        )
    assert 0 == done.returncode, done.stderr
    assert DONE == json.loads(done.stdout)
