"""The station's database: tables, transactions, spool, audit trail, seals and time.

For other rooms: ``audit``, ``bringing_forward``, ``chain``, ``clock``, ``inspection``, ``notify``, ``reconcile``,
``remembered``, ``row_seals``, ``schema``, ``sealed_table``, ``spool``, ``store``, ``tables``, ``trail_pages``.
"""
