"""The desk: carries out what the hub decides, over drivers, leases, previews and subscriptions.

For other rooms: ``coordinator``.
"""
