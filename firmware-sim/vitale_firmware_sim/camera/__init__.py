"""A network camera in software, and what stands before it."""
