"""Diagnosis of a desk, with or without its daemon: what ``doctor`` and ``diagnostics.run`` find.

Each module of ``desk`` and ``station`` is a check: it looks at one thing and gives rows. ``report`` runs them all; what
a row says in words is a finding of the catalogue (``vitale_protocol.diagnosis``).

For other rooms: ``__main__``, ``bundle``, ``report``, ``settings_file``, ``station``.
"""
