"""``vitale-reader sim phone`` and ``sim service``, as an integrator runs them: processes of their own."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from lxml import etree
from smartcard import scard

from tests.warm_interpreter import WarmInterpreter
from vitale_drivers.cards.channel import Channel
from vitale_firmware_sim.apcv_service import soap
from vitale_firmware_sim.apcv_service.contexts import ServiceContexts
from vitale_firmware_sim.card.pcscd import PcscService
from vitale_firmware_sim.phone.profiles import profile_text
from vitale_firmware_sim.phone.strings import StringSealer
from vitale_firmware_sim.scenario import load_scenario, scenario_names
from vitale_protocol.errors import MediumUnreadable
from vitale_protocol.media.apcv_profile import parse_profile
from vitale_reader.cli.sim import group as sim

Run = Callable[..., "subprocess.CompletedProcess[str]"]
READER = "Virtual PCD 00 00"
IN_TIME = 40_000


def start(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        (sys.executable, "-m", "vitale_reader", "--language", "en", "sim", *arguments),
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


@pytest.fixture
def run(interpreter: WarmInterpreter) -> Run:
    """Runs a simulator to its end."""
    return partial(interpreter.run, "-m", "vitale_reader", "--language", "en", "sim")


def request(string: str) -> bytes:
    return envelope(
        soap.AUTHENTICATE,
        f'<demande xmlns="{soap.AUTH}"><ProfessionnelSante><IdentifiantFacturation>991234567</IdentifiantFacturation>'
        f"</ProfessionnelSante><Donnees>{string}</Donnees></demande>",
    )


def signing(context: str, invoice: str) -> bytes:
    return envelope(
        soap.SIGN,
        f'<SignerVitaleReq version="1.0" xmlns="{soap.SIGNING}"><ContexteApCV><Identifiant>{context}</Identifiant>'
        f"</ContexteApCV>{invoice}</SignerVitaleReq>",
    )


def envelope(action: str, body: str) -> bytes:
    return (
        f'<e:Envelope xmlns:e="{soap.SOAP}"><e:Header><Action xmlns="{soap.WSA}">{action}</Action>'
        f'<Security xmlns="{soap.WSSE}"><Assertion xmlns="{soap.SAML}"/></Security>'
        f'<ContexteLPS xmlns="{soap.CTXLPS}"/></e:Header><e:Body>{body}</e:Body></e:Envelope>'
    ).encode()


def post(url: str, content: bytes) -> tuple[int, bytes]:
    split = urlsplit(url)
    connection = http.client.HTTPConnection(split.hostname or "", split.port, timeout=60)
    try:
        connection.request("POST", split.path, content)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def read_phone(protocols: int) -> tuple[bytes, dict[str, bytes]]:
    """The ATR and the evidence of the phone on the reader, by PC/SC and the shipped profile."""
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_USER)
    assert result == scard.SCARD_S_SUCCESS
    try:
        state, atr = scard.SCARD_STATE_UNAWARE, list[int]()
        while not state & scard.SCARD_STATE_PRESENT:
            result, states = scard.SCardGetStatusChange(context, IN_TIME, [(READER, state)])
            assert result == scard.SCARD_S_SUCCESS
            _, state, atr = states[0]
        result, card, active = scard.SCardConnect(context, READER, scard.SCARD_SHARE_SHARED, protocols)
        assert result == scard.SCARD_S_SUCCESS
        pci = scard.SCARD_PCI_T1 if active == scard.SCARD_PROTOCOL_T1 else scard.SCARD_PCI_T0

        def transmit(apdu: bytes) -> bytes:
            result, response = scard.SCardTransmit(card, pci, list(apdu))
            assert result == scard.SCARD_S_SUCCESS
            return bytes(response)

        channel = Channel(transmit, t0=active == scard.SCARD_PROTOCOL_T0)
        return bytes(atr), channel.run(parse_profile(profile_text("simulator")).reading_script())
    finally:
        scard.SCardReleaseContext(context)


@pytest.mark.pcscd
@pytest.mark.parametrize("protocols", [scard.SCARD_PROTOCOL_T0, scard.SCARD_PROTOCOL_T1])
def test_a_phone_on_a_contactless_reader_shown_without_its_data(pcsc_service: PcscService, protocols: int) -> None:
    address = f"127.0.0.1:{pcsc_service.ports[0]}"
    with start("phone", "--phone", "claire", "--porteur", "1", "--vpcd", address, "--json") as process:
        atr, evidence = read_phone(protocols)
        # Said beside the exchanges, and no more once it was interrupted.
        assert process.stderr is not None
        assert "Phone claire" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert atr.hex() == "3b83800180718073"
    shown = [json.loads(line) for line in out.splitlines()]
    assert [one["command"][:8] for one in shown] == ["00A40400", "00CA005E"]
    assert evidence["string"].decode() not in out + err


@pytest.mark.pcscd
def test_a_locked_phone_answers_nothing(pcsc_service: PcscService) -> None:
    with start("phone", "--locked", "--vpcd", f"127.0.0.1:{pcsc_service.ports[0]}", "--json") as process:
        with pytest.raises(MediumUnreadable, match="the phone is locked"):
            read_phone(scard.SCARD_PROTOCOL_T1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert json.loads(out.splitlines()[0])["sw"] == "6985"


@pytest.mark.posix("a process is sent a signal")
def test_a_service_and_a_phone_apart_understand_one_another(run: Run) -> None:
    with start("service", "--json") as process:
        assert process.stdout is not None
        url = str(json.loads(process.stdout.readline())["url"])
        # Once the service listens: a string is good for a minute.
        string = json.loads(run("phone", "--phone", "lina", "--enrol", "--string", "--json").stdout)["string"]
        answers = [post(url, request(string)) for _ in range(2)]
        assert json.loads(process.stdout.readline())["action"] == "authentifierUtilisateurProximite"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert [status for status, _ in answers] == [200, 400]
    assert b"PINSON-ESSAI" in answers[0][1]
    assert b"sim:STRING_USED" in answers[1][1]
    assert string not in out + err
    assert "PINSON" not in out + err


@pytest.mark.posix("a process is sent a signal")
def test_a_receipt_comes_to_a_phone_in_another_process(run: Run) -> None:
    with start("service", "--scenario", "famille", "--json") as process:
        assert process.stdout is not None
        url = str(json.loads(process.stdout.readline())["url"])
        string = run("phone", "--phone", "claire", "--string").stdout.strip()
        status, answer = post(url, request(string))
        assert status == 200
        context = (etree.fromstring(answer).findtext(f".//{{{soap.AUTH}}}identifiant") or "").strip()
        invoice = f'<i:ResumeFacture xmlns:i="{soap.SIM}" professionnel="Dr ESSAI" centimes="2605"/>'
        assert post(url, signing(context, invoice))[0] == 200
        opened = ("phone", "--phone", "claire", "--service", url, "--string")
        assert "Receipt: Dr ESSAI, €26.05" in run(*opened).stderr
        assert run(*opened).stderr == "", "it was handed over"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    gone = run(*opened)
    assert (gone.returncode, "no receipts" in gone.stderr, bool(gone.stdout)) == (0, True, True)
    assert run("phone", "--service", "https://x.example", "--string").returncode == 2


@pytest.mark.posix("a process is sent a signal")
@pytest.mark.parametrize(
    ("scenario", "event", "phone", "code"),
    [
        ("famille", ("--lost", "claire"), (), "APPLICATION_REVOKED"),
        ("famille", ("--withdrawn", "yvonne:claire"), ("--for", "yvonne"), "DELEGATION_ENDED"),
        ("incidents", ("--second", "second"), ("--phone", "en-regle"), "APPLICATION_REVOKED"),
    ],
)
def test_what_became_of_an_application(
    run: Run, scenario: str, event: tuple[str, ...], phone: tuple[str, ...], code: str
) -> None:
    with start("service", "--scenario", scenario, "--json", *event) as process:
        assert process.stdout is not None
        url = str(json.loads(process.stdout.readline())["url"])
        string = run("phone", "--scenario", scenario, *phone, "--string").stdout.strip()
        assert f"sim:{code}" in post(url, request(string))[1].decode()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_france_identite_is_the_short_way(run: Run) -> None:
    done = run("phone", "--phone", "lina", "--enrol", "france-identite", "--string")
    assert [line.split()[-1] for line in done.stderr.splitlines()] == ["new", "accepted", "locked"]
    assert done.stdout.startswith("VITALESIM.")


@pytest.mark.parametrize(
    "arguments",
    [("service", "--lost", "nobody"), ("service", "--withdrawn", "claire"), ("reader", "--porteur", "9")],
    ids=" ".join,
)
def test_what_cannot_have_become_of_it(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).returncode == 2


def test_strings_are_good_once_each(run: Run) -> None:
    one, other = (run("phone", "--string").stdout.strip() for _ in range(2))

    assert one != other
    scenario = load_scenario()
    contexts = ServiceContexts(scenario, iter("abcd").__next__)
    made_at = StringSealer(scenario.secret).open(one.encode()).made_at
    assert abs(made_at - time.time()) < 1_000, "they are good for a minute from now"
    assert contexts.authenticate(one.encode(), made_at).record.assure == scenario.phones[0].assure


@pytest.mark.parametrize("extra", [(), ("--json",)])
def test_scenarios_are_listed(extra: tuple[str, ...]) -> None:
    done = CliRunner().invoke(sim.sim, ["phone", "--list", *extra])
    assert done.exit_code == 0
    for name in scenario_names():
        assert name in done.output
    assert "MERLE" not in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("phone", "--scenario", "inconnu"), "no scenario of this name"),
        (("phone", "--phone", "nobody"), "no such phone"),
        (("phone", "--vpcd", "nowhere"), "--vpcd is HOST:PORT"),
        (("service", "--scenario", "inconnu"), "no scenario of this name"),
        (("service", "--behaviour", "rude"), "--behaviour is one of"),
    ],
)
def test_mistakes_are_told(run: Run, arguments: Sequence[str], told: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--phone", "lina"), "not in this state (new)"),
        (("--phone", "hugo", "--enrol"), "for people of 16 and over"),
        (("--porteur", "9"), "nobody has this place"),
        (("--phone", "paul", "--for", "yvonne"), "no delegation from this phone"),
        (("--locked",), "not in this state (locked)"),
    ],
)
def test_what_the_phone_refuses_is_told(arguments: Sequence[str], told: str) -> None:
    done = CliRunner().invoke(sim.sim, ["phone", "--string", *arguments])
    assert done.exit_code == 2
    assert told in done.output
