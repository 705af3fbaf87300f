"""A serial line in software, on a pseudo-terminal.

For other rooms: ``device``, ``line``.
"""
