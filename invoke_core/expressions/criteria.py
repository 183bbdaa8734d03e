"""A compiled expression, ready to be evaluated any number of times."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from invoke_core.errors import AnswerNotJsonError, ExpressionValueError
from invoke_core.expressions.evaluator import compile_node
from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.functions import CONDITION, CRITERIA
from invoke_core.expressions.nodes import mask_source, print_node
from invoke_core.expressions.parser import parse
from invoke_core.expressions.values import to_boolean

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.documents import JsonValue
    from invoke_core.expressions.explain import Evaluation
    from invoke_core.expressions.functions import Dialect
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.nodes import Node
    from invoke_core.expressions.scope import Scope

CACHE_SIZE: Final = 512
"""How many compiled expressions are kept, by text."""

LONGEST_CACHED: Final = 2_000
"""Longest text whose compiled form is kept: it takes hundreds of times the memory."""


class Criteria:
    """An expression that parsed.

    Attributes:
        source: Its text.
        node: Its tree.
        blanks: What explanations of it have in common, by node.
    """

    __slots__ = ("_printed", "_run", "blanks", "node", "source")

    def __init__(self, source: str, node: Node) -> None:
        """Compile a tree."""
        self.source = source
        self.node = node
        self.blanks: dict[int, dict[str, JsonValue]] = {}
        self._run = compile_node(node)
        # A text with a quote in it is printed with two, and a mask would not know it again.
        self._printed = None if "''" in source else print_node(node)

    def printed(self, mask: Callable[[str], str]) -> str:
        """Return the normal form, in which the mask can still find what it has to hide."""
        return print_node(self.node, mask) if self._printed is None else self._printed

    def shown(self, mask: Callable[[str], str]) -> str:
        """Return the text as it may be shown, masked also where a quote in a secret is doubled."""
        return mask_source(self.source, mask)

    def value(self, scope: Scope) -> Value:
        """Evaluate.

        Args:
            scope: What can be read.

        Returns:
            The value before it is made a Boolean.

        Raises:
            ExpressionValueError: It cannot be evaluated on this scope.
        """
        scope.renew()
        try:
            return self._run(scope)
        except EvaluationFault as fault:
            raise self.error(fault) from None

    def test(self, scope: Scope) -> bool:
        """Tell whether the criteria is met; the fast path.

        Args:
            scope: What can be read.

        Returns:
            The value as a Boolean.

        Raises:
            ExpressionValueError: It cannot be evaluated on this scope.
        """
        scope.renew()
        try:
            value = self._run(scope)
        except EvaluationFault as fault:
            raise self.error(fault) from None
        return value if isinstance(value, bool) else to_boolean(value)

    def examine(
        self, scope: Scope, *, mask: Callable[[str], str], verbose: bool = False
    ) -> Evaluation:
        """Evaluate and explain; whatever happens is in the result.

        Args:
            scope: What can be read.
            mask: Hides secrets in a text.
            verbose: Whether the trace holds the verbose lines too.

        Returns:
            The outcome, the trace and the explanation.
        """
        # Imported here: explaining is three times the code, and most criteria are simply met.
        from invoke_core.expressions.explain import examine  # noqa: PLC0415

        return examine(self, scope, mask=mask, verbose=verbose)

    def explain(
        self, scope: Scope, *, mask: Callable[[str], str], verbose: bool = False
    ) -> Evaluation:
        """Evaluate and explain.

        Args:
            scope: What can be read.
            mask: Hides secrets in a text.
            verbose: Whether the trace holds the verbose lines too.

        Returns:
            The outcome, an evaluation error included.

        Raises:
            AnswerNotJsonError: As the scope raised it: an answer that is not JSON is another
                matter than a criteria that fails.
        """
        evaluation = self.examine(scope, mask=mask, verbose=verbose)
        if isinstance(evaluation.failure, AnswerNotJsonError):
            raise evaluation.failure
        return evaluation

    def error(self, fault: EvaluationFault) -> ExpressionValueError:
        """Return an evaluation's fault as an error that knows the expression."""
        return ExpressionValueError(
            fault.message,
            source=self.source,
            kind=fault.kind,
            from_kind=fault.from_kind,
            to_kind=fault.to_kind,
        )


def compile_criteria(text: str) -> Criteria | None:
    """Compile success criteria.

    Args:
        text: The expression, macros expanded.

    Returns:
        The compiled criteria, from a bounded cache by text unless that is long; None for a text
        that is empty or white space (Inferred: treated as no criteria, as the empty one is).

    Raises:
        ExpressionSyntaxError: It does not parse.
    """
    return _compile(text, CRITERIA)


def compile_condition(text: str) -> Criteria | None:
    """Compile the condition of a step, which may use ``succeeded()`` and its kin.

    Args:
        text: The expression.

    Returns:
        The compiled condition; None for a text that is empty or white space.

    Raises:
        ExpressionSyntaxError: It does not parse.
    """
    return _compile(text, CONDITION)


@lru_cache(maxsize=CACHE_SIZE)
def _compile_cached(text: str, is_condition: bool) -> Criteria | None:  # noqa: FBT001  # the cache's key
    node = parse(text, CONDITION if is_condition else CRITERIA)
    return None if node is None else Criteria(text, node)


def _compile(text: str, dialect: Dialect) -> Criteria | None:
    compiled = _compile_cached if len(text) <= LONGEST_CACHED else _compile_cached.__wrapped__
    return compiled(text, dialect is CONDITION)
