"""Transports: bytes to session and back, nothing else.

For other rooms: ``listening``, ``port_holder``.
"""
