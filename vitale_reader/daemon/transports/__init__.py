"""Transports: bytes to session and back, nothing else."""
