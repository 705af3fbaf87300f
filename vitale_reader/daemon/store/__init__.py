"""The station's database: tables, transactions, spool, audit trail, seals and time.

For other rooms: ``audit_trail``, ``row_upgrade``, ``clock``, ``machine_run``, ``inspection``, ``notifications``,
``spool_replay``, ``local_anchor``, ``row_seals``, ``migrate``, ``sealed_table``, ``spool``, ``store``, ``tables``.
"""
