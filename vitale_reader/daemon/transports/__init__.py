"""Transports: bytes to session and back, nothing else.

For other rooms: ``listening``.
"""
