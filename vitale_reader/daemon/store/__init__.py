"""The station's database: tables, transactions, spool, audit trail."""
