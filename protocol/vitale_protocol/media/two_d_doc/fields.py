"""Lengths of the fields of a 2D-Doc: the ANTS specification's annex "identifiants de données".

Perimeter 01, versions 3.1 to 3.3 of the specification. An identifier is two characters of base 36: a family, by which
the table is ordered, and a member.
"""

from dataclasses import dataclass
from typing import Final

__all__ = ["LENGTHS", "Length"]


@dataclass(frozen=True, slots=True)
class Length:
    """Characters of a value: exactly that many if it is ``fixed``, else at most; None for no limit."""

    most: int | None
    fixed: bool = False


# After the family, member=length of a fixed one, member:maximum of a variable one, 0 for no limit.
_TABLE: Final = """
0  1:0 2:0 3:0 4:0 5:0 6=4 7=6 8=4 9=4 A=9 B=9 C:0 D=36
1  0:38 1:38 2:38 3:38 4:38 5:38 6:38 7:38 8:0 9:0 A:0 B:0 C=8 D:16 E:30 F:30 G=1 H=1 I:38 J:38 K:38 L:38 M:38 N:38
1  O:38 P:38
2  0:38 1:38 2:38 3:38 4=5 5:32 6=2 7:38 8:38 9:38 A:38 B=5 C:32 D=2
3  0:140 1:38 2:11 3:30 4=2 5:34 6=4 7=4 8:11 9:11
4  0=13 1:12 2:0 3:5 4=13 5=4 6:38 7=13 8:38 9=13 A=8 B=8 C=8 D:12 E:12 F=15 G:38 H:77 I:12 J:12 K:38 L:38 M:3 N:38
4  O:38 P=5 Q:32 R:30 S=4 T:30 U:38 V:10 W:10 X:10
5  0=14 1=6 2=7 3=4 4=4 5=8 6=4 7=8 8:11 9:12 A:11 B:12 C:11 D:38 E:38 F:38 G:38 H=5 I:32 J=2 K:50 L:14 M:38 N=21
5  O:38 P:20 Q:38 R:20 S:40 T=1 U:12
6  0:60 1:20 2:38 3:38 4:38 5=2 6:20 7=2 8=1 9=8 A:32 B=3 C=2 D:60 E:60 F:90 G:38 H:10 I=2 J=1 K=19 L=8 M:40 N=8
6  O=8 P:40 Q:10 R=12 S:38 T:38 U:38 V:38 W=5 X:32 Y=2 Z:11
7  0=12 1=12 2:38 3:60 4:38 5=8 6=1 7:45 8=5 9:114 A=5 B:45 C=1 D=1 E=1 F=1 G=1 H=2 I=1 J=1 K=13 L=9 M:64 N:128
7  O=1 P=16
8  0:38 1:60 2:20 3:40 4:40 5=17 6=12 7:63 8:10 9:64 A=8 B:10 C:10 D=14 E=1 F=1 G=1 H=1 I=8 J=1 K:64
9  0:38 1:38 2:38 3:38 4:38 5:18 6=8
A  0=2 1:17 2:17 3:17 4=17 5=3 6=2 7=3 8:12 9=3 A=8 B:8 C:19 D=4 E=4 F=1 G=1 H:30 I=8 J=13 K=7 L=11 M:5 N=8 O=6
A  P:60 Q:25 R:35 S:10 T=1 U:38 V:38 W:38 X:38 Y=5 Z:32
B  0:60 1:20 2:38 3:38 4:38 5=2 6=1 7=8 8:32 9=2 A=1 B:50 C:20 D=1 E=3 F=3 G=2 H:30 I:30 J:30 K=14
C  0=1 1:38 2:20 3=12 4=8 5=1 6:38 7:20 8:38 9=5 A:45 B=10 C=12
D  0=17 1:50 2:20 3=8 4=8 5:10 6=8 7=8 8=2 9=8 A=8 B:50 C:50 D=8 E:50 F=9 G=14 H:20 I:30 J:50 K:50 L=8 M:50 N=9
D  O=14 P:20 Q:50 R:50 S=8 T:50 U=9 V=14 W:20 X:30 Y=3 Z:10
E  0=2 1=4 2=4 3=4 4=3 5=2 6:65 7=9 8=12 9:19 A=1 B=5 C=8 D:3 E:100 F=1
F  0:60 1:38 2=8 3=1 4:7 5=1 6=12
G  0=2 1=2 2:20 3=8 4:10 5:45
H  0:38 1=2 2:38 3=2 4=8 5=8 6:40 7:53 8=7 9=8 A=8 B=9 C:38 D:38 E:38 F:38 G:38 H:20 I:38 J=5 K:32 L=2 M:18 N=12
H  O=8 P=12 Q=2 R=2 S=2
I  0=4 1=7 2=16 3:54 4:37 5:13 6=11
L  0:80 1:80 2=8 3:30 4:15 5:30 6:30 7=1 8=1 9=8 A=2
"""


def _read(table: str) -> dict[str, Length]:
    lengths: dict[str, Length] = {}
    for line in table.strip().splitlines():
        family, *members = line.split()
        for one in members:
            member, fixed, number = one[0], one[1] == "=", int(one[2:])
            lengths[family + member] = Length(number or None, fixed)
    return lengths


LENGTHS: Final = _read(_TABLE)
"""By identifier."""
