"""The daemon as a service of the system: what is installed for it, and what the system is told.

For other rooms: ``base``, ``log_records``, ``machine``, ``notification``, ``scope``, ``services``, ``steps``.
"""
