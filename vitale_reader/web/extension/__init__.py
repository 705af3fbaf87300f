"""The extension for browsers: its source, and the archives that are made of it.

For other rooms: ``packing``.
"""
