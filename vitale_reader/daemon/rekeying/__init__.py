"""A new key of a site, to which its database, its spools and its desks change over.

For other rooms: ``procedure``.
"""
