"""docs/pictures/rooms.svg: the rooms of the house on their floors, drawn from the imports."""

__all__ = ["picture"]


def picture() -> str:
    return ""
