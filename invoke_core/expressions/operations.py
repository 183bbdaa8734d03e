"""What a function of the language is, and what it can do.

A function is written once and runs under two sets of operations: the fast one works on plain
values, the explaining one notes every value and coercion on the way. What a function does not ask
for is never evaluated: it receives its arguments as thunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.work import Work

H = TypeVar("H")
"""How a set of operations holds an evaluated value."""

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class Operations(Protocol[In_contra]):
    """What a function can do with its arguments."""

    @property
    def work(self) -> Work:
        """What pays for whatever grows with the document."""
        ...

    def value(self, held: In_contra, /) -> Value:
        """Return the value itself."""
        ...

    def boolean(self, held: In_contra, /) -> bool:
        """Convert to Boolean."""
        ...

    def text(self, held: In_contra, /) -> str:
        """Convert to String, or raise ``TypeCast``."""
        ...

    def try_text(self, held: In_contra, /) -> str | None:
        """Convert to String, or return None."""
        ...

    def try_number(self, held: In_contra, /) -> Decimal | None:
        """Convert to Number, or return None."""
        ...

    def equal(self, left: In_contra, right: In_contra, /) -> bool:
        """Compare in the left value's kind."""
        ...

    def compare(self, left: In_contra, right: In_contra, /) -> int:
        """Order in the left value's kind, or raise ``TypeCast``."""
        ...

    def read(self, name: str, /) -> Raw:
        """Return a named value of the scope."""
        ...


class Operand(Protocol[Out_co]):
    """An argument that has not been evaluated: calling it does."""

    def __call__(self, ops: Operations[Out_co], /) -> Out_co:
        """Evaluate."""
        ...


class Body(Protocol):
    """What a function does."""

    def __call__(self, ops: Operations[H], arguments: Sequence[Operand[H]], /) -> Raw:
        """Return the result."""
        ...


class Function:
    """One entry of the table.

    Attributes:
        name: As documented.
        least: Fewest arguments.
        most: Most arguments.
        body: What it does.
        realized: Whether the trace shows its value in its place, not the call.
    """

    __slots__ = ("body", "least", "most", "name", "realized")

    def __init__(
        self, name: str, least: int, most: int, body: Body, *, realized: bool = False
    ) -> None:
        """Keep what the table says."""
        self.name = name
        self.least = least
        self.most = most
        self.body = body
        self.realized = realized
