"""The session as a sans-I/O peer: messages in, events out, bytes to send.

For other rooms: ``framing``, ``jsonrpc``, ``session``, ``wire_errors``.
"""
