"""``vitale-reader site``: the site and its database.

For other rooms: ``group``.
"""
