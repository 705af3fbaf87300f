"""The station's secrets: keys, certificates, private files."""
