"""``vitale-reader sim``: devices in software, one module a kind."""
