"""The web gateway: channels of pages, their sealed session, their pairing, and names that deceive.

For other rooms: ``admission``, ``channels``, ``extensions``, ``framing``, ``handshake``, ``lookalikes``, ``own_names``,
``pairing``, ``registration``, ``rotation``, ``sealed_frames``, ``sites``.
"""
