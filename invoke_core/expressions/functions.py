"""The functions of the language as one table, in two dialects.

Source: expressions reference, sections 7 to 9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from invoke_core.expressions.core_functions import CORE
from invoke_core.expressions.later_functions import ANSWER, GENERAL
from invoke_core.expressions.operations import Function

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from invoke_core.expressions.kinds import Raw
    from invoke_core.expressions.operations import Body, H, Operand, Operations


def _status(*wanted: str) -> Body:
    def body(ops: Operations[H], _: Sequence[Operand[H]]) -> Raw:
        return ops.read("status") in wanted

    return body


_STATUS: Final = (
    Function("always", 0, 0, _status("succeeded", "failed", "canceled")),
    Function("succeeded", 0, 0, _status("succeeded")),
    Function("failed", 0, 0, _status("failed")),
    Function("canceled", 0, 0, _status("canceled")),
    Function("succeededOrFailed", 0, 0, _status("succeeded", "failed")),
)


class Dialect:
    """Which names an expression may use.

    Attributes:
        functions: By lower-case name.
        names: The named values, by lower-case name.
    """

    __slots__ = ("functions", "names")

    def __init__(self, functions: Sequence[Function], names: Sequence[str]) -> None:
        """Look the names up without case."""
        self.functions: Mapping[str, Function] = {each.name.lower(): each for each in functions}
        self.names: Mapping[str, str] = {name.lower(): name for name in names}


CRITERIA: Final = Dialect(
    (*CORE, *GENERAL, *ANSWER), ("root", "response", "variables", "taskInputs")
)
"""What success criteria may say."""

CONDITION: Final = Dialect((*CORE, *GENERAL, *_STATUS), ("variables",))
"""What the condition of a step may say: the status of the job, not yet any answer."""
