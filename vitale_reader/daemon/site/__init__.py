"""The other desks of a site: their readers, their requests, their changes."""
