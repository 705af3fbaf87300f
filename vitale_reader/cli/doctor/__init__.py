"""``vitale-reader doctor``: the report on a desk, and what each kind of device really does.

For other rooms: ``command``, ``findings_output``.
"""
