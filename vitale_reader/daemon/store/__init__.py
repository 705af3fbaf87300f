"""The station's database: tables, transactions, spool, audit trail.

For other rooms: ``audit``, ``chain``, ``notify``, ``reconcile``, ``spool``, ``store``, ``tables``, ``trail_pages``.
"""
