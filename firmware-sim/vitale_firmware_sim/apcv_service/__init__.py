"""The apCV service in software, over HTTP.

For other rooms: ``assertion``, ``receipts``, ``service``.
"""
