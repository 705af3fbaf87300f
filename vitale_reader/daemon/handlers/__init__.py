"""What each call of the wire does, by topic; ``vitale_reader.daemon.service`` puts the tables together.

For other rooms: ``services``, ``topics``.
"""
