"""One file a revision; ``vitale_reader/daemon/tables.py`` names the last one."""
