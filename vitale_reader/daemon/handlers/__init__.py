"""Handlers of the calls of the wire, by topic; ``vitale_reader.daemon.dispatcher`` puts the tables together.

For other rooms: ``page_rate_limits``, ``services``, ``topics``.
"""
