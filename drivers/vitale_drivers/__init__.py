"""Drivers: the only place that touches devices and their libraries.

For other rooms: ``base``, ``camera``, ``cards``, ``contract``, ``host``, ``kit``, ``nfc``, ``pcsc``, ``readers``,
``registry``, ``scanner``.
"""
