"""The composition of the daemon: the only place that knows how it is put together.

Each module builds one part of it. A builder takes what was built before; nothing is joined afterwards.

For other rooms: ``desks``, ``issuing``, ``observers``, ``services``, ``station``.
"""
