from collections.abc import Iterator

class QRCode:
    designator: str
    mask: int
    error: str | None
    version: int | str
    matrix: tuple[bytearray, ...]
    def matrix_iter(self, scale: int = 1, border: int | None = None, verbose: bool = False) -> Iterator[bytearray]: ...
    def symbol_size(self, scale: float = 1, border: int | None = None) -> tuple[float, float]: ...
    def svg_inline(self, **options: object) -> str: ...

class QRCodeSequence(tuple[QRCode, ...]): ...

def make(
    content: str | bytes | int,
    error: str | None = None,
    version: int | str | None = None,
    mode: str | None = None,
    mask: int | None = None,
    encoding: str | None = None,
    eci: bool = False,
    micro: bool | None = None,
    boost_error: bool = True,
) -> QRCode: ...
def make_sequence(
    content: str | bytes | int,
    error: str | None = None,
    version: int | None = None,
    mode: str | None = None,
    mask: int | None = None,
    encoding: str | None = None,
    boost_error: bool = True,
    symbol_count: int | None = None,
) -> QRCodeSequence: ...
