# What this project uses of pyscard's list of readers (pyscard 2.3).

from smartcard.CardConnection import CardConnection

class Reader:
    def createConnection(self) -> CardConnection: ...

def readers() -> list[Reader]: ...
