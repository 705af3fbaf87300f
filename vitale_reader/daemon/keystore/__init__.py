"""The station's secrets: keys, certificates, private files.

For other rooms: ``certificate_authority``, ``certificates``, ``keyring_secrets``, ``private_files``, ``station_keys``,
``store_keys``.
"""
