"""The dashboard's page, and the gateway that serves it: in a process of its own, on a listener of its own.

For other rooms: ``process``.
"""
