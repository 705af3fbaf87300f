"""The station's secrets: keys, certificates, private files.

For other rooms: ``authority``, ``certificates``, ``files``, ``keyring_secrets``, ``keys``, ``vault``.
"""
