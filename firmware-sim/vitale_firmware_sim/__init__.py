"""Devices in software, at the lowest level that a real stack will talk to.

For other rooms: ``apcv_service``, ``camera``, ``card``, ``imager``, ``phone``, ``pn532``, ``scenario``.
"""
