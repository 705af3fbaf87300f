"""Observation of the daemon's work: what came to pass, told once to whoever counts it or traces it.

Whoever does the work tells an event when it is over, and knows nobody who listens. An event has no patient, no client
and no serial number in it.

For other rooms: ``events``, ``incidents``, ``timeline``, ``told_once``.
"""
