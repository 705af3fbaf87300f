"""Arbitration: which client gets which presentation; a pure state machine, with the clock passed in.

For other rooms: ``actions``, ``hub``, ``leases``.
"""
