"""``vitale-reader sim``: devices in software, one module a kind.

For other rooms: ``group``.
"""
