"""The SDK's own parts; programs import ``vitale_reader`` and ``vitale_reader.aio``.

For other rooms: ``address``, ``blocking``, ``connection``, ``leasing``, ``pairing``, ``presentation``,
``reconnecting``, ``sync_wrappers``, ``verification``.
"""
