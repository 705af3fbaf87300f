"""Datamatrix codes whose print, light or shape leave a decoder nothing to begin with.

They are read by the grid of their modules.

For other rooms: what is named here, and no module.
"""

from vitale_drivers.decoding.datamatrix.matrix import read_matrix

__all__ = ["read_matrix"]
