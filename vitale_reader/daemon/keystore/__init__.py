"""The station's secrets: keys, certificates, private files.

For other rooms: ``certificates``, ``files``, ``keyring_secrets``, ``keys``, ``vault``.
"""
