"""Pure protocol: bytes and values, no I/O, no clock, no randomness.

For other rooms: ``apdu``, ``catalogue``, ``claims``, ``configuration``, ``diagnosis``, ``documents``, ``errors``,
``events``, ``extras``. Likewise ``media``, ``methods``, ``metrics``, ``privacy``, ``problems``, ``records``,
``session``, ``signing``, ``tlv``, ``tokens``, ``web``.
"""
