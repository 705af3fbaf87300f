"""The station's secrets: made once, kept private, rotated with an overlap."""

import sys
from pathlib import Path

import keyring.core
import msgspec
import pytest
from cryptography.exceptions import InvalidTag
from joserfc.jwk import ECKey
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from tests.clocks import Clock
from vitale_protocol.errors import StoreUnavailable, ToolMissing
from vitale_protocol.signing import public_jwk
from vitale_reader.daemon.keystore.keyring_secrets import KeyringSecrets
from vitale_reader.daemon.keystore.private_files import open_to_others
from vitale_reader.daemon.keystore.station_keys import DeskClock, Keys
from vitale_reader.daemon.store.clock import StoreClock
from vitale_reader.daemon.store.local_anchor import Remembered

OVERLAP = 1_000.0
DAY = 86_400.0


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def keys(tmp_path: Path, clock: Clock) -> Keys:
    made = Keys(tmp_path / "station.json", overlap=OVERLAP, clock=DeskClock(clock))
    made.open()
    return made


def kids(keys: Keys) -> list[str]:
    return [key["kid"] for key in keys.jwks["keys"]]


def stored(keys: Keys) -> set[str]:
    """The names of all keys in the file."""
    content = msgspec.json.decode(keys._file.read_bytes())  # pyright: ignore[reportPrivateUsage]
    return {key["jwk"]["kid"] for key in content["signing"]}


def test_secrets_are_made_once_and_private(keys: Keys, tmp_path: Path, clock: Clock) -> None:
    again = Keys(tmp_path / "station.json", overlap=OVERLAP, clock=DeskClock(clock))
    again.open()
    assert again.station == keys.station
    assert again.issuer == f"urn:vitale-reader:{keys.station}"
    assert again.signing[0] == keys.signing[0]
    assert not open_to_others(tmp_path / "station.json")


def test_a_key_is_kept_as_another_library_keeps_it(keys: Keys) -> None:
    (kept,) = msgspec.json.decode(keys._file.read_bytes())["signing"]  # pyright: ignore[reportPrivateUsage]

    read = ECKey.import_key(kept["jwk"])

    assert read.as_dict(private=True) == kept["jwk"]
    assert read.thumbprint() == kept["jwk"]["kid"]


def test_secrets_that_are_not_open_are_a_fault_of_the_program(tmp_path: Path, clock: Clock) -> None:
    closed = Keys(tmp_path / "station.json", overlap=OVERLAP, clock=DeskClock(clock))
    with pytest.raises(RuntimeError, match="not open"):
        print(closed.signing)
    with pytest.raises(RuntimeError, match="not open"):
        print(closed.station)


def test_the_identity_is_the_stations_own_for_ever(keys: Keys, tmp_path: Path, clock: Clock) -> None:
    other = Keys(tmp_path / "other.json", overlap=OVERLAP, clock=DeskClock(clock))
    other.open()
    before = public_jwk(keys.identity)
    keys.rotate()
    again = Keys(tmp_path / "station.json", overlap=OVERLAP, clock=DeskClock(clock))
    again.open()

    assert before == public_jwk(again.identity)
    assert before != public_jwk(other.identity)
    assert before.x not in {key["x"] for key in keys.jwks["keys"]}


def test_the_public_keys_are_public(keys: Keys) -> None:
    (key,) = keys.jwks["keys"]
    assert key.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("EC", "P-256", "ES256", "sig")
    assert key["kid"] == keys.signing[0]


def test_rotation_keeps_the_former_key_for_the_overlap(keys: Keys, tmp_path: Path, clock: Clock) -> None:
    former = keys.signing[0]
    clock.now += 10
    current = keys.rotate()
    assert current != former
    assert kids(keys) == [current, former]
    assert keys.signing[0] == current
    clock.now += OVERLAP - 1
    assert kids(keys) == [current, former]
    clock.now += 1
    assert kids(keys) == [current]
    newest = keys.rotate()
    again = Keys(tmp_path / "station.json", overlap=OVERLAP, clock=DeskClock(clock))
    again.open()
    assert kids(again) == [newest, current]


class Clocks:
    """The clocks of a desk and of its site, as a test sets them, and the keys that go by them."""

    def __init__(self, file: Path, *, shared: bool) -> None:
        self.site = self.steady = 1_800_000_000.0
        self.off = 0.0
        remembered = Remembered()
        self.clock = StoreClock(
            remembered, shared=shared, wall=lambda: self.site + self.off, steady=lambda: self.steady, boot=lambda: "run"
        )
        self.hear()
        self.clock.believed()
        self.keys = Keys(file, overlap=OVERLAP, clock=self.clock)
        self.keys.open()

    def hear(self) -> None:
        """The database tells its time, where there is one."""
        self.clock.saw(self.site, self.steady, self.steady)

    def pass_by(self, seconds: float) -> None:
        self.site += seconds
        self.steady += seconds
        self.clock.believed()


@pytest.mark.parametrize("off", [-400 * DAY, -OVERLAP / 2, OVERLAP, 400 * DAY])
def test_no_clock_of_a_desk_hides_or_keeps_a_retired_key_of_a_site(tmp_path: Path, off: float) -> None:
    clocks = Clocks(tmp_path / "station.json", shared=True)
    keys, former = clocks.keys, clocks.keys.signing[0]
    current = keys.rotate()
    clocks.off = off
    clocks.pass_by(OVERLAP - 1)
    assert [current, former] == kids(keys)
    clocks.pass_by(1)
    assert [current] == kids(keys)


@pytest.mark.parametrize("off", [-400 * DAY, 400 * DAY])
def test_a_desk_of_a_site_whose_clock_is_wrong_rotates_no_key(tmp_path: Path, off: float) -> None:
    clocks = Clocks(tmp_path / "station.json", shared=True)
    keys, former = clocks.keys, clocks.keys.signing[0]
    clocks.off = off
    with pytest.raises(StoreUnavailable) as caught:
        keys.rotate()
    assert ("clock", [former]) == (caught.value.variant, kids(keys))


def test_a_clock_that_jumps_forward_hides_no_retired_key_of_a_desk_alone(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path / "station.json", shared=False)
    keys, former = clocks.keys, clocks.keys.signing[0]
    second = keys.rotate()
    clocks.off = 400 * DAY
    assert [second, former] == kids(keys)
    third = keys.rotate()
    clocks.off = 0.0
    assert {third, second, former} == stored(keys), "none is lost"
    assert [third, former] == kids(keys), "the second is retired in a year that has not come"
    clocks.pass_by(OVERLAP)
    assert [third] == kids(keys)


@pytest.mark.parametrize(("back", "kept"), [(OVERLAP / 2, True), (400 * DAY, False)])
def test_a_clock_that_is_set_back_keeps_no_retired_key_of_a_desk_alone_for_long(
    tmp_path: Path, back: float, kept: bool
) -> None:
    clocks = Clocks(tmp_path / "station.json", shared=False)
    keys, former = clocks.keys, clocks.keys.signing[0]
    current = keys.rotate()
    clocks.pass_by(OVERLAP / 4)
    clocks.off = -back
    assert ([current, former] if kept else [current]) == kids(keys)
    clocks.off = 0.0
    assert [current, former] == kids(keys), "it was hidden, and not lost"


def test_a_desk_that_was_off_for_a_weekend_keeps_the_overlap_of_a_rotation_in_the_morning(tmp_path: Path) -> None:
    clocks = Clocks(tmp_path / "station.json", shared=False)
    keys, former = clocks.keys, clocks.keys.signing[0]
    clocks.site += 3 * DAY  # the machine did not count while it was off
    current = keys.rotate()
    assert [current, former] == kids(keys)
    clocks.pass_by(OVERLAP - 1)
    assert [current, former] == kids(keys)


def test_what_is_sealed_opens_only_where_it_belongs(keys: Keys) -> None:
    sealed = keys.vault.seal(b"a token", "jti-1")
    assert b"a token" not in sealed
    assert keys.vault.unseal(sealed, "jti-1") == b"a token"
    assert keys.vault.seal(b"a token", "jti-1") != sealed, "a nonce is never used twice"
    with pytest.raises(InvalidTag):
        keys.vault.unseal(sealed, "jti-2")
    with pytest.raises(InvalidTag):
        keys.vault.unseal(sealed[:-1] + bytes([sealed[-1] ^ 1]), "jti-1")


def test_a_fingerprint_depends_on_every_byte_and_on_the_station(keys: Keys, tmp_path: Path, clock: Clock) -> None:
    evidence = {"identity": b"ab", "nir": b"c"}
    print_ = keys.fingerprint(evidence)
    assert len(print_) == 64
    assert keys.fingerprint(dict(reversed(evidence.items()))) == print_
    assert keys.fingerprint({"identity": b"a", "nir": b"bc"}) != print_, "bytes do not move between parts"
    assert keys.fingerprint({"identity": b"ab", "nir": b"d"}) != print_
    other = Keys(tmp_path / "other.json", overlap=OVERLAP, clock=DeskClock(clock))
    other.open()
    assert other.fingerprint(evidence) != print_


_SECRETS = b'{"station":"s","outbox":"","evidence":"","replay":"","signing":[%s]}'
_SIGNING = b'{"jwk":%s,"created_at":0}'
DAMAGED = [
    b"",
    b"{}",
    b"not json",
    b'{"station": 1}',
    b'{"station":"\xff"}',
    b"[" * 100_000,
    _SECRETS % b"",
    _SECRETS % (_SIGNING % b"{}"),
    _SECRETS % (_SIGNING % b'{"kty":"EC","crv":"P-256","x":"","y":""}'),
    _SECRETS % (_SIGNING % b'{"kty":"RSA"}'),
]


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_damaged_secrets_are_told_and_never_replaced(tmp_path: Path, clock: Clock, content: bytes) -> None:
    file = tmp_path / "station.json"
    file.write_bytes(content)
    with pytest.raises(StoreUnavailable):
        Keys(file, overlap=OVERLAP, clock=DeskClock(clock)).open()
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("member", "value"),
    [("d", None), ("d", "AQ"), ("d", "é"), ("x", "AQ"), ("y", 1), ("kid", None), ("crv", "P-384"), ("kty", "RSA")],
)
def test_a_damaged_key_is_told_and_never_replaced(tmp_path: Path, clock: Clock, member: str, value: object) -> None:
    file = tmp_path / "station.json"
    Keys(file, overlap=OVERLAP, clock=DeskClock(clock)).open()
    content = msgspec.json.decode(file.read_bytes())
    secret = content["signing"][0]["jwk"].pop(member)
    if value is not None:
        content["signing"][0]["jwk"][member] = value
    file.write_bytes(msgspec.json.encode(content))

    with pytest.raises(StoreUnavailable) as caught:
        Keys(file, overlap=OVERLAP, clock=DeskClock(clock)).open()

    assert secret not in repr(caught.value)
    assert msgspec.json.decode(file.read_bytes()) == content


def test_secrets_that_cannot_be_written_are_told(tmp_path: Path, clock: Clock) -> None:
    with pytest.raises(StoreUnavailable):
        Keys(tmp_path / "no such folder" / "station.json", overlap=OVERLAP, clock=DeskClock(clock)).open()


# ── under a key of the keyring ───────────────────────────────────────────────────────────────────────────────────


class Memory(KeyringBackend):
    """A keyring that is a dictionary, and can be locked."""

    priority = 1.0  # pyright: ignore[reportAssignmentType]  # as its own backends do

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # of the package
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise KeyringLocked
        self.kept[service, username] = password


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    made = Memory()
    monkeypatch.setattr(keyring.core, "_keyring_backend", made)
    return made


def boxed(folder: Path, clock: Clock, *, box: bool = True) -> Keys:
    made = Keys(
        folder / "station.json", overlap=OVERLAP, clock=DeskClock(clock), box=KeyringSecrets(folder) if box else None
    )
    made.open()
    return made


def test_secrets_under_a_key_of_the_keyring(tmp_path: Path, clock: Clock, memory: Memory) -> None:
    keys = boxed(tmp_path, clock)
    content = (tmp_path / "station.json").read_bytes()
    assert list(msgspec.json.decode(content)) == ["sealed"]
    assert keys.station.encode() not in content
    assert [service for service, _ in memory.kept] == ["vitale-reader"]
    rotated = keys.rotate()
    again = boxed(tmp_path, clock)
    assert (again.station, again.signing[0]) == (keys.station, rotated)


def test_a_station_is_brought_under_the_keyring_with_its_secrets(
    keys: Keys, tmp_path: Path, clock: Clock, memory: Memory
) -> None:
    assert boxed(tmp_path, clock).station == keys.station
    assert list(msgspec.json.decode((tmp_path / "station.json").read_bytes())) == ["sealed"]
    with pytest.raises(StoreUnavailable):
        boxed(tmp_path, clock, box=False)


@pytest.mark.parametrize("fault", ["locked", "forgotten", "another"])
def test_a_keyring_that_does_not_help_is_told_and_nothing_is_replaced(
    tmp_path: Path, clock: Clock, memory: Memory, fault: str
) -> None:
    boxed(tmp_path, clock)
    content = (tmp_path / "station.json").read_bytes()
    (place,) = memory.kept
    if fault == "locked":
        memory.locked = True
    elif fault == "forgotten":
        del memory.kept[place]
    else:
        memory.kept[place] = "AAAA" * 11
    with pytest.raises(StoreUnavailable):
        boxed(tmp_path, clock)
    assert (tmp_path / "station.json").read_bytes() == content


def test_a_package_that_is_missing_is_named(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ToolMissing) as caught:
        boxed(tmp_path, clock)
    assert caught.value.data == {"tool": "keyring", "extra": "keyring"}
