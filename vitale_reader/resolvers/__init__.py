"""Resolvers: what turns the opaque string of an apCV into a context with its rights, each a plug-in."""
