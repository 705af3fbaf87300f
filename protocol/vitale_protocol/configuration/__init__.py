"""Settings of the daemon, of drivers and of resolvers: converted, or refused with the place of the mistake.

For other rooms: ``settings``.
"""
