# What this project uses of pyscard's low-level binding (pyscard 2.3); result codes come first in each result.

INFINITE: int
SCARD_ATTR_VENDOR_IFD_SERIAL_NO: int
SCARD_E_CANCELLED: int
SCARD_E_INVALID_HANDLE: int
SCARD_E_NO_READERS_AVAILABLE: int
SCARD_E_NO_SERVICE: int
SCARD_E_NO_SMARTCARD: int
SCARD_E_READER_UNAVAILABLE: int
SCARD_E_SERVICE_STOPPED: int
SCARD_E_SHARING_VIOLATION: int
SCARD_E_TIMEOUT: int
SCARD_E_UNKNOWN_READER: int
SCARD_E_UNSUPPORTED_FEATURE: int
SCARD_F_COMM_ERROR: int
SCARD_F_INTERNAL_ERROR: int
SCARD_LEAVE_CARD: int
SCARD_PCI_T0: int
SCARD_PCI_T1: int
SCARD_PROTOCOL_T0: int
SCARD_PROTOCOL_T1: int
SCARD_PROTOCOL_UNDEFINED: int
SCARD_RESET_CARD: int
SCARD_UNPOWER_CARD: int
SCARD_SCOPE_SYSTEM: int
SCARD_SCOPE_USER: int
SCARD_SHARE_DIRECT: int
SCARD_SHARE_EXCLUSIVE: int
SCARD_SHARE_SHARED: int
SCARD_STATE_CHANGED: int
SCARD_STATE_EXCLUSIVE: int
SCARD_STATE_INUSE: int
SCARD_STATE_IGNORE: int
SCARD_STATE_MUTE: int
SCARD_STATE_PRESENT: int
SCARD_STATE_UNAVAILABLE: int
SCARD_STATE_UNAWARE: int
SCARD_STATE_UNKNOWN: int
SCARD_S_SUCCESS: int
SCARD_W_REMOVED_CARD: int
SCARD_W_RESET_CARD: int
SCARD_W_SECURITY_VIOLATION: int
SCARD_W_UNPOWERED_CARD: int
SCARD_W_UNRESPONSIVE_CARD: int
SCARD_W_UNSUPPORTED_CARD: int

def SCardEstablishContext(dwScope: int, /) -> tuple[int, int]: ...
def SCardReleaseContext(hcontext: int, /) -> int: ...
def SCardListReaders(hcontext: int, groups: list[str], /) -> tuple[int, list[str]]: ...
def SCardGetStatusChange(
    hcontext: int, dwTimeout: int, readerstates: list[tuple[str, int]], /
) -> tuple[int, list[tuple[str, int, list[int]]]]: ...
def SCardCancel(hcontext: int, /) -> int: ...
def SCardConnect(hcontext: int, reader: str, sharemode: int, protocols: int, /) -> tuple[int, int, int]: ...
def SCardReconnect(hcard: int, sharemode: int, protocols: int, initialization: int, /) -> tuple[int, int]: ...
def SCardStatus(hcard: int, /) -> tuple[int, str, int, int, list[int]]: ...
def SCardDisconnect(hcard: int, disposition: int, /) -> int: ...
def SCardBeginTransaction(hcard: int, /) -> int: ...
def SCardEndTransaction(hcard: int, disposition: int, /) -> int: ...
def SCardTransmit(hcard: int, protocol: int, apdu: list[int], /) -> tuple[int, list[int]]: ...
def SCardGetAttrib(hcard: int, attribute: int, /) -> tuple[int, list[int]]: ...
def SCardGetErrorMessage(code: int, /) -> str: ...
