"""Transports: bytes to session and back, nothing else.

For other rooms: ``listening``, ``loopback``, ``peers``, ``port_holder``.
"""
