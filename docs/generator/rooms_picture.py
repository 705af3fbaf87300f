"""docs/pictures/rooms.svg: the rooms of the house on their floors, drawn from the imports."""

from docs.generator import house, rooms

__all__ = ["picture"]


def picture() -> str:
    return ""
