"""``vitale-reader demo``: its environment, what it does, what it shows.

For other rooms: ``command``.
"""
