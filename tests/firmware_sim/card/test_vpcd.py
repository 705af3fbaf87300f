"""The card's end of vpcd's protocol, with a slot made here at the other."""

import socket

from vitale_firmware_sim.card.card import Card
from vitale_firmware_sim.card.faults import FaultyCard, parse_faults
from vitale_firmware_sim.card.images import load_image
from vitale_firmware_sim.card.vpcd import VpcdLink

PATIENCE = 60.0
POWER_ON, ASK_ATR = b"\x00\x01\x01", b"\x00\x01\x04"


def accepted(slot: socket.socket, patience: float) -> socket.socket:
    slot.settimeout(patience)
    connection, _ = slot.accept()
    connection.settimeout(PATIENCE)
    return connection


def test_a_mute_card_that_hangs_up_is_there_again_already() -> None:
    """The service looks when it likes: between the two it would take the card for one that was withdrawn."""
    mute = FaultyCard(Card(load_image("adulte")), parse_faults("mute"))
    with socket.create_server(("127.0.0.1", 0)) as slot, VpcdLink(mute, port=slot.getsockname()[1]) as link:
        link.insert()
        connection = accepted(slot, PATIENCE)
        for _ in range(3):
            with connection:
                connection.sendall(POWER_ON + ASK_ATR)
                assert connection.recv(1) == b""
                connection = accepted(slot, 0.0)
        connection.close()
