"""One file a revision; ``vitale_reader/daemon/store/tables.py`` names the last one.

For other rooms: no module.
"""
