"""The other desks of a site: their readers, their requests, their changes.

For other rooms: ``external_changes``, ``opening``, ``remote_desks``, ``stations``.
"""
