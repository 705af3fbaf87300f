"""The dashboard's page, and the gateway that serves it in its own process, on its own listener.

For other rooms: ``process``.
"""
