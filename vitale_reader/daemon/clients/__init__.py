"""Clients at the daemon: who is paired, and who speaks with which rights.

For other rooms: ``callers``, ``registry``.
"""
