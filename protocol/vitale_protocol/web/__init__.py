"""The web door: channels of pages, their sealed session, and their pairing.

For other rooms: ``admission``, ``channels``, ``extensions``, ``framing``, ``handshake``, ``lookalikes``, ``pairing``,
``registration``, ``rotation``, ``sealed_frames``, ``sites``.
"""
