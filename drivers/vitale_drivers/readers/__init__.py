"""Discovery, presence and health of readers; shared by all drivers.

For other rooms: ``call_timer``, ``discovery``, ``health``, ``lifecycle``, ``presence``, ``serial_ports``, ``status``,
``survey``, ``terminals``.
"""
