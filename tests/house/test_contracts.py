"""The import contracts of pyproject.toml hold, and each of them breaks when it is broken: for that alone."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from vitale_protocol.extras import EXTRA_OF

#: The program takes some seconds of a processor, and of those a busy machine has few.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).parents[2]
SOURCE_ROOTS = {
    "vitale_reader": "",
    "vitale_drivers": "drivers",
    "vitale_firmware_sim": "firmware-sim",
    "vitale_protocol": "protocol",
}
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
NAMES = [str(contract["name"]) for contract in CONTRACTS]
GATEWAYS = "The gateway, the dashboard and the exporter load no store and no device, not even through others"
TRANSPORTS = "Transports carry bytes to a session and back: they import nothing that decides, issues or stores"
PURE = "Modules that call themselves pure are pure, and so is what they load"

#: For each contract some imports that it forbids, as ``module imports what``. An import that breaks two stands at both.
FORBIDDEN: dict[str, list[str]] = {
    "The floors of the house: imports point downwards only": [
        "vitale_reader.daemon.log_output imports vitale_reader.cli.frame.language",
        "vitale_reader.daemon.log_output imports vitale_reader.client.address",
        "vitale_reader.daemon.log_output imports vitale_reader.aio",
        "vitale_reader.resolvers.none imports vitale_reader.daemon.clients.registry",
        "vitale_firmware_sim.fault_words imports vitale_reader.resolvers.base",
        "vitale_drivers.base imports vitale_firmware_sim.fault_words",
        "vitale_protocol.schemas imports vitale_drivers.base",
    ],
    "The floors of the drivers": [
        "vitale_drivers.base imports vitale_drivers.registry",
        "vitale_drivers.readers.health imports vitale_drivers.decoding.symbol",
        "vitale_drivers.cards.lease imports vitale_drivers.pcsc.names",
        "vitale_drivers.scanner.settings imports vitale_drivers.host.redaction",
    ],
    "No driver knows another": ["vitale_drivers.nfc.timed_transport imports vitale_drivers.pcsc.names"],
    "No circles, at any depth": [
        "vitale_reader.daemon.log_output imports vitale_reader.cli.frame.language",
        "vitale_reader.resolvers.none imports vitale_reader.daemon.clients.registry",
        "vitale_drivers.base imports vitale_drivers.registry",
        "vitale_drivers.cards.lease imports vitale_drivers.pcsc.names",
        "vitale_drivers.cards.tasks imports vitale_drivers.cards.lease",
        "vitale_protocol.media.two_d_doc.fields imports vitale_protocol.media.two_d_doc.reading",
        "vitale_reader.daemon.store.tables imports vitale_reader.daemon.issuing.replay",
        "vitale_firmware_sim.card.files imports vitale_firmware_sim.pn532.frames",
    ],
    "The SDK loads no store, no device, no daemon and no command line, not even through others": [
        "vitale_reader.client.connection imports numpy",
        "vitale_reader.client.pairing imports sqlalchemy",
        "vitale_reader.client.pairing imports tomlkit",
        "vitale_reader.home imports httpx",
        "vitale_reader.aio imports vitale_reader.daemon.clients.registry",
        "vitale_reader.errors imports vitale_drivers.base",
    ],
    "Nor does the front of the SDK, the package itself": [
        "vitale_reader imports numpy",
        "vitale_reader imports vitale_drivers.base",
    ],
    "The core and the resolvers load no device library, not even through others": [
        "vitale_reader.daemon.app imports numpy",
        "vitale_reader.resolvers.guarded imports numpy",
        "vitale_reader.daemon.app imports vitale_drivers.camera.liveness",
    ],
    GATEWAYS: [
        "vitale_drivers.base imports vitale_firmware_sim.fault_words",
        "vitale_reader.web.gateway imports sqlalchemy",
        "vitale_reader.web.dashboard.process imports vitale_drivers.decoding.symbol",
        "vitale_reader.metrics.exporter imports vitale_reader.daemon.config",
    ],
    TRANSPORTS: ["vitale_reader.daemon.transports.unix imports vitale_reader.daemon.store.tables"],
    "The protocol is pure: no I/O, no clock, no randomness": [
        "vitale_protocol.schemas imports pathlib",
        "vitale_protocol.schemas imports http.client",
        "vitale_protocol.schemas imports time",
    ],
    PURE: [
        "vitale_reader.daemon.arbitration.hub imports asyncio",
        "vitale_reader.daemon.arbitration.hub imports time",
        "vitale_reader.daemon.arbitration.request_queue imports vitale_reader.daemon.store.tables",
        "vitale_drivers.pcsc.state imports vitale_drivers.readers.serial_ports",
    ],
    "smartcard: the driver pcsc alone": ["vitale_drivers.cards.channel imports smartcard.scard"],
    "nfcpy and libusb: the driver nfc alone": [
        "vitale_drivers.pcsc.driver imports nfc.clf",
        "vitale_drivers.pcsc.driver imports usb1",
    ],
    "biip: where the driver scanner reads boxes": ["vitale_drivers.scanner.scans imports biip"],
    "serial: where ports are listed, and where the driver scanner opens one": [
        "vitale_drivers.nfc.devices imports serial.tools"
    ],
    "h11 and websockets: the web gateway alone": ["vitale_reader.daemon.transports.loopback imports h11"],
    "The native host starts for each page, with nothing but the protocol": [
        "vitale_reader.web.native.host imports asyncio",
        "vitale_reader.web.native.host imports vitale_drivers.base",
    ],
    "prometheus_client: the exporter of metrics alone": [
        "vitale_reader.daemon.metrics.tally imports prometheus_client"
    ],
    "opentelemetry: the traces of the daemon alone": ["vitale_reader.daemon.metrics.tally imports opentelemetry.trace"],
    "cv2: where the driver camera opens one, and where pictures are decoded": [
        "vitale_drivers.camera.frames imports cv2"
    ],
    "zxingcpp: where pictures are decoded": ["vitale_drivers.camera.opencv imports zxingcpp"],
    "pyzbar: a second decoder, where pictures are decoded": ["vitale_drivers.decoding.stages imports pyzbar.pyzbar"],
    "joserfc: where integrators verify tokens": [
        "vitale_protocol.signing imports joserfc.jws",
        "vitale_reader.daemon.keystore.station_keys imports joserfc.jwk",
    ],
    "lxml: the parsers of a format": [
        "vitale_protocol.tlv imports lxml.etree",
        "vitale_reader.daemon.config imports lxml.etree",
    ],
    "click and rich: the command line alone": [
        "vitale_reader.daemon.app imports click",
        "vitale_drivers.host.worker imports rich.console",
    ],
    "Products import no tests, no examples and nothing else of the checkout": [
        "vitale_reader.cli.serve imports tests.postgres_server",
        "vitale_drivers.contract imports tests.drivers",
        "vitale_firmware_sim.scenario imports cli",
    ],
}


PLANTS = sorted({plant for plants in FORBIDDEN.values() for plant in plants})


Broken = Callable[[Sequence[Sequence[str]]], list[set[str]]]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """The contracts that break by imports that are planted into a copy of the packages; without any, the first."""
    folder = tmp_path_factory.mktemp("contracts")
    for package, base in SOURCE_ROOTS.items():
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / base / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)

    def found(together: Sequence[Sequence[str]]) -> list[set[str]]:
        answer = subprocess.run(
            [sys.executable, ROOT / "tests" / "house" / "contracts_program.py"],
            input=json.dumps([[plant.split(" imports ") for plant in plants] for plants in together]),
            cwd=folder,
            # Before the packages that are installed; names of contracts on one line.
            env=os.environ | {"PYTHONPATH": str(folder), "COLUMNS": "500", "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=280,
            check=True,
        )
        told = [states(said) for said in json.loads(answer.stdout)]
        return [{name for name, state in said.items() if state == "BROKEN"} for said in told]

    return found


@pytest.fixture(scope="module")
def each(broken: Broken) -> dict[str, set[str]]:
    """The contracts that break by one import."""
    return dict(zip(["", *PLANTS], broken([[plant] for plant in PLANTS]), strict=True))


def states(said: str) -> dict[str, str]:
    """``KEPT`` or ``BROKEN`` for every contract."""
    found = dict(re.findall(r"^(.+) (KEPT|BROKEN)$", said, flags=re.MULTILINE))
    assert set(NAMES) == set(found), said
    return found


def test_the_contracts_are_kept_and_each_breaks_where_it_should(broken: Broken) -> None:
    as_they_are, with_all = broken([PLANTS])
    assert set[str]() == as_they_are
    assert {*NAMES} == with_all


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("plant", PLANTS)
def test_a_forbidden_import_breaks_the_contracts_that_forbid_it_and_no_other(
    plant: str, each: dict[str, set[str]]
) -> None:
    assert {name for name, plants in FORBIDDEN.items() if plant in plants} == each[plant]


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_each_contract_is_the_only_one_that_some_import_breaks(name: str, each: dict[str, set[str]]) -> None:
    assert {name} in each.values(), "plant an import in FORBIDDEN that this contract has to find, and no other"


def test_no_import_is_planted_for_a_contract_that_is_gone() -> None:
    assert sorted(NAMES) == sorted(FORBIDDEN)


@pytest.mark.parametrize("name", [name for name in NAMES if "the SDK" in name or name.startswith("The SDK")])
def test_the_sdk_is_forbidden_each_package_that_an_extra_brings(name: str) -> None:
    forbidden = next(contract["forbidden_modules"] for contract in CONTRACTS if contract["name"] == name)

    assert set[str]() == set(EXTRA_OF) - set(forbidden)


def test_each_module_that_calls_itself_pure_is_held_to_it() -> None:
    """By its docstring; the protocol has a contract of its own."""
    held = tuple(next(contract["source_modules"] for contract in CONTRACTS if contract["name"] == PURE))
    claims: set[str] = set()
    for package in SOURCE_ROOTS.keys() - {"vitale_protocol"}:
        base = ROOT / SOURCE_ROOTS[package]
        for file in (base / package).rglob("*.py"):
            docstring = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
            if re.search(r"\bpure\b", docstring, flags=re.IGNORECASE):
                claims.add(".".join(file.relative_to(base).with_suffix("").parts).removesuffix(".__init__"))
    assert claims, "no module calls itself pure"

    assert set[str]() == {module for module in claims if not f"{module}.".startswith(tuple(f"{of}." for of in held))}
