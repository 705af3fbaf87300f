"""The station's secrets: keys, certificates, private files.

For other rooms: ``certificate_authority``, ``certificates``, ``keyring_secrets``, ``private_files``, ``sealing_keys``,
``station_keys``.
"""
