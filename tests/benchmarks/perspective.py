"""A sheet before a pinhole camera: turned about its middle, and where it is seen in the frame."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

__all__ = ["Turned", "perspective"]


class Turned(NamedTuple):
    """Angles of a sheet, in degrees."""

    yaw: float
    pitch: float
    roll: float


def perspective(
    sheet: tuple[int, int], scale: float, turned: Turned, at: tuple[float, float], focus: float
) -> npt.NDArray[np.float64]:
    """The matrix from the pixels of a sheet to those of a frame.

    Args:
        sheet: its width and height.
        scale: pixels of the frame to one of the sheet, straight on.
        turned: how it lies.
        at: the middle of it in the frame.
        focus: of the camera, in pixels.
    """
    wide, high = (side * scale / 2 for side in sheet)
    yaw, pitch, roll = np.deg2rad(turned)
    corners = np.array([[-wide, -high, 0], [wide, -high, 0], [wide, high, 0], [-wide, high, 0]], dtype=np.float64)
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    placed = corners @ (about_x @ about_y @ about_z).T
    seen = placed[:, :2] * (focus / (focus + placed[:, 2:])) + np.array(at)
    flat = np.array([[0, 0], [sheet[0], 0], [sheet[0], sheet[1]], [0, sheet[1]]], dtype=np.float32)
    return np.asarray(cv2.getPerspectiveTransform(flat, seen.astype(np.float32)), dtype=np.float64)
