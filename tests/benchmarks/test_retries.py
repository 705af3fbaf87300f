"""``retries``: each figure in its line, beside the card without a fault; a promise that is broken is told."""

import sys

import pytest

from tests.benchmarks.retries import CARDS, PHONES, PhoneCost, card_lines, lines, phone_lines
from vitale_firmware_sim.card.faults import parse_faults
from vitale_firmware_sim.pn532.faults import parse_nfc_faults


def test_each_card_stands_beside_the_one_without_a_fault() -> None:
    found = card_lines({"": (0.01, 0.02, 0.03), "mute=1": (0.1, 0.2, 0.3), "hiccup=2": (0.04,)})
    assert [(line.ours, line.baseline_p50, line.p50) for line in found] == [
        ("mute=1", 20.0, 200.0),
        ("hiccup=2", 20.0, 40.0),
    ]


@pytest.mark.parametrize(("messages", "load", "kept"), [(4.0, 0.09, [True, True]), (4.1, 0.1, [False, False])])
def test_what_a_phone_may_cost(messages: float, load: float, kept: list[bool]) -> None:
    found = phone_lines([PhoneCost("locked", messages, load)])
    assert [line.kept for line in found] == kept
    assert [line.p50 for line in found] == [messages, load * 100]


def test_the_faults_are_words_of_the_simulators() -> None:
    for fault in CARDS:
        parse_faults(fault)
    for fault in PHONES[2:]:
        parse_nfc_faults(fault)


@pytest.mark.slow
@pytest.mark.pcscd
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the load is read from /proc")
def test_everything_is_measured() -> None:
    said: list[str] = []
    found = lines(1, 1.0, said.append)
    assert [line.ours for line in found] == [*CARDS, *(fault for fault in PHONES for _ in range(2))]
    assert len(said) == 1 + len(PHONES)
    assert all(line.p50 > 0 for line in found[: len(CARDS)])
