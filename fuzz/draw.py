"""Makes structured values of bytes, the same ones with and without the fuzzer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.documents import JsonValue

T = TypeVar("T")


class Draw:
    """Takes decisions from bytes, from the front; zeros once they are used up."""

    def __init__(self, data: bytes) -> None:
        """Begin at the first byte."""
        self._data = data
        self._at = 0

    def byte(self) -> int:
        """Return the next byte."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of at most 256 choices."""
        return choices[self.byte() % len(choices)]

    def text(self) -> str:
        """Return a text of at most 63 bytes; bytes that are not UTF-8 become lone surrogates."""
        length = self.byte() % 64
        self._at += length
        return self._data[self._at - length : self._at].decode("utf-8", "surrogateescape")

    def word(self, tokens: Sequence[str]) -> str:
        """Return a token, a text, or several of them together."""
        parts = [
            self.pick(tokens) if self.byte() % 4 else self.text() for _ in range(self.byte() % 4)
        ]
        return "".join(parts) if parts else self.pick(tokens)

    def rest(self) -> str:
        """Return what is left as text."""
        left, self._at = self._data[self._at :], len(self._data)
        return left.decode("utf-8", "surrogateescape")

    def document(self, tokens: Sequence[str], depth: int = 3) -> JsonValue:
        """Return a JSON document without numbers; names and texts are made of tokens."""
        kind = self.byte() % 8
        if kind < 2 and depth:
            return {
                self.word(tokens): self.document(tokens, depth - 1) for _ in range(self.byte() % 5)
            }
        if kind == 2 and depth:
            return [self.document(tokens, depth - 1) for _ in range(self.byte() % 4)]
        return self.pick((None, True, False)) if kind == 3 else self.word(tokens)


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that is fuzzed.

    Attributes:
        check: Tries an input, and raises whatever breaks a promise.
        seeds: Inputs to begin with.
        tokens: Texts that inputs are made of.
    """

    check: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    tokens: tuple[str | bytes, ...]
