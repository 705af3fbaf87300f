"""The desk: carries out what the hub decides, over drivers, leases, previews and subscriptions.

For other rooms: ``child_process``, ``coordinator``, ``holders``, ``questions``, ``supervisor``.
"""
