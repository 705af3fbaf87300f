"""Drivers: the only place that touches devices and their libraries.

For other rooms: ``base``, ``camera``, ``cards``, ``contract``, ``host``, ``nfc``, ``pcsc``, ``readers``, ``scanner``.
"""
