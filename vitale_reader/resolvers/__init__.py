"""Resolvers: what turns the opaque string of an apCV into a context with its rights, each a plug-in.

For other rooms: ``base``, ``guarded``, ``licensed_plugins``, ``registry``.
"""
