"""The station: its configuration, its store, its services, its drivers, and what its daemon says of itself.

For other rooms: ``configuration``, ``daemon_view``, ``devices``, ``resolver``, ``store``.
"""
