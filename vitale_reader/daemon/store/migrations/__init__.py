"""The migrations of the store, for Alembic: each file under ``versions`` leads from one revision to the next.

For other rooms: no module.
"""
