"""The daemon as a service of the system: what is installed for it, and what is said to the system about it.

For other rooms: ``base``, ``log_records``, ``machine``, ``notification``, ``scope``, ``services``, ``steps``.
"""
