"""Diagnosis of a desk, with or without its daemon: what ``doctor`` and ``diagnostics.run`` find.

Each module looks at one thing and gives rows (``vitale_protocol.diagnosis``); ``report`` puts them together.

For other rooms: ``__main__``, ``bundle``, ``report``, ``settings_file``, ``station``.
"""
