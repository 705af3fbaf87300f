"""The other desks of a site: their readers, their requests, their changes.

For other rooms: ``backup``, ``external_changes``, ``open_store``, ``remote_desks``, ``restoring``, ``stations``,
``upkeep``.
"""
