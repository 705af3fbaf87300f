"""A Vitale 2 in software: in a virtual PC/SC reader, or behind a driver of its own.

For other rooms: ``card``, ``control``, ``driver``, ``faults``, ``images``, ``pcscd``, ``vpcd``.
"""
