TIMEOUT_ERROR: int
RECEIVE_ERROR: int
PROTOCOL_ERROR: int

class TagCommandError(Exception):
    errno: int

class Tag: ...
