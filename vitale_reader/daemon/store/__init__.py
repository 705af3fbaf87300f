"""The station's database: tables, transactions, spool, audit trail, seals and time.

For other rooms: ``audit``, ``row_upgrade``, ``chain``, ``clock``, ``inspection``, ``notifications``, ``spool_replay``,
``local_anchor``, ``row_seals``, ``schema``, ``sealed_table``, ``spool``, ``store``, ``tables``, ``trail_pages``.
"""
