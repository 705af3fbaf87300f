"""Native messaging: the program that browsers start for the extension, and the manifests that tell them of it.

For other rooms: ``declaring``, ``host``, ``manifest_locations``.
"""
