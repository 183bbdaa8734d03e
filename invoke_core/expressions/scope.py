"""What an expression can read.

Source: expressions reference, section 8; HTTP contract, section 2, "ApiResponse".
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal, cast

from invoke_core.expressions import values
from invoke_core.expressions.kinds import Caseless, Lazy
from invoke_core.expressions.statuses import status_name
from invoke_core.expressions.work import Work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.documents import JsonValue
    from invoke_core.expressions.kinds import Raw, Value

JobStatus = Literal["succeeded", "failed", "canceled"]


class Scope:
    """Named values, each made when it is first read and kept from then on.

    A scope is at the same time the plain set of ``operations.Operations``, under which values are
    simply values; so an evaluation needs nothing but its scope.

    """

    __slots__ = ("_made", "_makers", "_work")

    boolean = staticmethod(values.to_boolean)
    text = staticmethod(values.to_text)
    try_text = staticmethod(values.try_text)
    try_number = staticmethod(values.try_number)
    equal = staticmethod(values.equal)
    compare = staticmethod(values.compare)

    def __init__(self, makers: Mapping[str, Callable[[], Raw]]) -> None:
        """Keep what makes each value.

        Args:
            makers: By name in the language's own letters. What a maker raises passes through.
        """
        self._makers = makers
        self._made: dict[str, Raw] = {}
        self._work: Work | None = None

    @property
    def work(self) -> Work:
        """What the evaluation at hand may still cost; made when it is first asked for."""
        if self._work is None:
            self._work = Work()
        return self._work

    def renew(self) -> None:
        """Begin another evaluation."""
        self._work = None

    @staticmethod
    def value(held: Value) -> Value:
        """Return the value itself."""
        return held

    def read(self, name: str) -> Raw:
        """Return a named value, unread."""
        try:
            return self._made[name]
        except KeyError:
            made = self._made[name] = self._makers[name]()
            return made


class AnswerScope(Scope):
    """What success criteria can read of an answer, kept as it was given until it is read."""

    __slots__ = ("_content", "_headers", "_root", "_status", "_task_inputs", "_variables")

    def __init__(
        self,
        *,
        root: Callable[[], JsonValue],
        content: Callable[[], JsonValue],
        status: int,
        headers: Mapping[str, str],
        variables: Mapping[str, str],
        task_inputs: Mapping[str, str],
    ) -> None:
        """Keep what there is; make a scope for each evaluation.

        Args:
            root: Makes the parsed body for ``root`` and ``jsonpath``; called once, and only when
                one of them is evaluated. It may raise ``AnswerNotJsonError``, which passes through.
            content: Makes ``response['content']``; likewise.
            status: The HTTP status: ``response['status']``, and by its .NET name
                ``['statuscode']``.
            headers: For ``response['headers']``; names without case.
            variables: For ``variables``; names without case.
            task_inputs: For ``taskInputs``; names without case.
        """
        # Nothing is made here, and the base is not called: an answer is often judged by two terms.
        self._made = {}
        self._work = None
        self._root = root
        self._content = content
        self._status = status
        self._headers = headers
        self._variables = variables
        self._task_inputs = task_inputs

    def read(self, name: str) -> Raw:
        """Return a named value, unread."""
        made = self._made
        if name in made:
            return made[name]
        value = cast("Raw", self._root()) if name == "root" else self._make(name)
        made[name] = value
        return value

    def _make(self, name: str) -> Raw:
        if name == "response":
            return Caseless(
                {
                    "statuscode": status_name(self._status),
                    "status": Decimal(self._status),
                    "content": Lazy(cast("Callable[[], Raw]", self._content)),
                    "headers": Caseless(self._headers),
                }
            )
        return Caseless(self._variables if name == "variables" else self._task_inputs)


answer_scope = AnswerScope
"""What makes the scope of an answer."""


def condition_scope(*, status: JobStatus, variables: Mapping[str, str]) -> Scope:
    """Return what the condition of a step can read.

    Args:
        status: How the job stands before the step.
        variables: For ``variables``; names without case.

    Returns:
        The scope.
    """
    return Scope({"status": lambda: status, "variables": lambda: Caseless(variables)})
