"""A new key of a site: what its database, its spools and its desks keep goes from one key to another.

For other rooms: ``procedure``.
"""
