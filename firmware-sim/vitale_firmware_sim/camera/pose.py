"""Projection of a plane before a pinhole camera, and its inverse."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Corners", "Matrix", "Point", "Pose", "inverse", "projection", "seen"]

Point = tuple[float, float]
Corners = tuple[Point, Point, Point, Point]
"""Top left, top right, bottom right and bottom left of a thing as it stands itself, however it is turned."""
Matrix = NDArray[np.float64]

# The focal length in widths of the frame: about 60° from side to side, as webcams have.
_FOCAL: Final = 0.87


@dataclass(frozen=True, slots=True)
class Pose:
    """Pose of a plane: its origin is seen at ``at`` (pixels); angles in degrees; ``scale`` pixels a unit there."""

    at: Point
    yaw: float
    pitch: float
    roll: float
    scale: float


def projection(pose: Pose, width: int) -> Matrix:
    """The 3×3 matrix from points of the plane to pixels of a frame so many pixels wide."""
    yaw, pitch, roll = np.radians((pose.yaw, pose.pitch, pose.roll))
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    turned = about_z @ about_x @ about_y
    focal = _FOCAL * width
    plane = np.column_stack((turned[:, 0], turned[:, 1], (0.0, 0.0, focal / pose.scale)))
    camera = np.array([[focal, 0.0, pose.at[0]], [0.0, focal, pose.at[1]], [0.0, 0.0, 1.0]])
    return _scaled(camera @ plane)


def inverse(matrix: Matrix) -> Matrix:
    """Returns the projection from the picture back to the plane."""
    return _scaled(np.linalg.inv(matrix).astype(np.float64))


def _scaled(matrix: Matrix) -> Matrix:
    """The same projection with 1 as the last number, as Pillow wants it."""
    scaled: Matrix = np.divide(matrix, matrix[2, 2])
    return scaled


def seen(matrix: Matrix, points: Sequence[Point]) -> list[Point]:
    """Projects points of the plane into the picture."""
    projected = np.column_stack((np.array(points, dtype=np.float64), np.ones(len(points)))) @ matrix.T
    return [(float(x / w), float(y / w)) for x, y, w in projected]
