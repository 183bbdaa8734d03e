"""Inputs near the seeds of a fuzz target, the same ones each time."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def mutations(
    seeds: Sequence[bytes], tokens: Sequence[bytes], *, count: int, seed: int = 1
) -> Iterator[bytes]:
    """Yield seeds with tokens put in, bytes taken out or changed, and the ends of other seeds."""
    chance = random.Random(seed)
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 2, 3, 5))):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(6):
                case 0 | 1:
                    data[at:at] = chance.choice(tokens)
                case 2:
                    data[at : at + chance.randrange(1, 9)] = chance.choice(tokens)
                case 3:
                    del data[at : at + chance.randrange(1, 9)]
                case 4:
                    data[at : at + 1] = chance.randbytes(1)
                case _:
                    other = chance.choice(seeds)
                    data[at:] = other[chance.randrange(len(other) + 1) :]
        yield bytes(data)
