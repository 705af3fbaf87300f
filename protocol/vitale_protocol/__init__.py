"""Pure protocol: bytes and values, no I/O, no clock, no randomness.

For other rooms: ``apdu``, ``catalogue``, ``claims``, ``errors``, ``events``, ``media``, ``methods``, ``privacy``,
``records``, ``session``, ``tlv``, ``tokens``.
"""
