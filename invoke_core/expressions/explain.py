"""The explaining evaluator: a second walk that notes every value, coercion and skip on the way.

It runs the very functions and index rules of the fast one, under operations that take notes.

Source: expressions reference, section 12; the names of the explanation's members: HTTP contract,
section 5, ``POST /api/criteria/evaluate``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, cast

from invoke_core.errors import ExpressionValueError
from invoke_core.expressions import values
from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.indexing import spread, take
from invoke_core.expressions.kinds import Kind, kind_name, kind_of
from invoke_core.expressions.nodes import Access, Call, Literal, Named
from invoke_core.expressions.notes import missing_note
from invoke_core.expressions.output import masked_document
from invoke_core.expressions.realized import Realized
from invoke_core.expressions.reasons import failure_message, message_of
from invoke_core.expressions.sources import Source
from invoke_core.expressions.values import read
from invoke_core.expressions.verbose import VerboseLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from invoke_core.documents import JsonValue
    from invoke_core.expressions.criteria import Criteria
    from invoke_core.expressions.operations import Operations
    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.nodes import Mask, Node
    from invoke_core.expressions.scope import Scope


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """An evaluation, explained; every text in it is masked.

    Attributes:
        result: The outcome; None where it could not be evaluated.
        kind: The kind of the value; None likewise.
        value: The value itself as a document; None likewise.
        trace: The lines the original engine logs; with the verbose ones where they were asked for.
        explanation: The tree of sub-expressions, each ``{text, start, end, kind, value,
            convertedTo, skipped, note, arguments}``. ``start`` and ``end`` count UTF-16 units from
            0, so that they cut ``text`` out of the expression. ``value`` is None for arrays and
            objects, whose size the note tells, and cut where it is long. ``convertedTo`` is the
            kind a value was converted to, or None.
        message: One or two sentences on why the outcome is not true; empty where it is.
        error: ``{phase, kind, token, position, from, to, message}``, or None.
        failure: The error as the fast path would have raised it, or None.
        explain: Makes the explanation.
    """

    result: bool | None
    kind: str | None
    value: JsonValue
    trace: tuple[str, ...]
    message: str
    error: dict[str, JsonValue] | None
    failure: ExpressionValueError | None
    explain: Callable[[], dict[str, JsonValue]] = field(repr=False, compare=False)

    @cached_property
    def explanation(self) -> dict[str, JsonValue]:
        """The tree, made when it is first asked for."""
        return self.explain()


class Entry:
    """What is known of one sub-expression.

    Attributes:
        node: The sub-expression.
        value: What it came to; None until then.
        done: Whether it came to a value.
        converted_to: The kind it was converted to.
        note: A remark for the author.
        missing_at: Which step of an access led nowhere; the note then says why.
        entries: Those of its arguments, once it is evaluated; of an access, its base and keys.
        is_skipped: Whether it was never evaluated.
    """

    value: Value = None
    done = False
    converted_to: Kind | None = None
    note: str | None = None
    missing_at: int | None = None
    entries: tuple[Entry, ...] = ()

    def __init__(self, walk: _Walk, node: Node, level: int) -> None:
        """Begin with nothing known."""
        self.walk = walk
        self.node = node
        self.level = level
        self.is_skipped = True

    def __call__(self, _: Operations[Entry], /) -> Entry:
        """Evaluate; an entry is the operand a function gets."""
        self.walk.evaluate(self)
        return self


def examine(criteria: Criteria, scope: Scope, *, mask: Mask, verbose: bool) -> Evaluation:
    """Evaluate an expression and explain it.

    Args:
        criteria: The compiled expression.
        scope: What it can read.
        mask: Hides secrets in a text.
        verbose: Whether the trace holds the verbose lines.

    Returns:
        Everything there is to say, evaluation errors included.
    """
    walk = _Walk(criteria, scope, mask, VerboseLog(mask) if verbose else None)
    return walk.run()


class _Walk:
    """One evaluation; at the same time the operations its functions run under.

    Its public methods are ``functions.Operations`` over entries.
    """

    def __init__(
        self, criteria: Criteria, scope: Scope, mask: Mask, log: VerboseLog | None
    ) -> None:
        self._criteria = criteria
        self._mask = mask
        self._log = log
        self._realized = Realized(mask)
        self.read: Callable[[str], Raw] = scope.read
        self.work = scope.work
        self.work.renew()

    def run(self) -> Evaluation:
        """Evaluate the whole expression."""
        node = self._criteria.node
        evaluating = self._mask("Evaluating: " + self._criteria.printed(self._mask))
        if self._log:
            self._log.parsing(self._criteria.source)
            self._log.add(evaluating)
        root = Entry(self, node, 0)
        try:
            self.evaluate(root)
        except EvaluationFault as fault:
            return self._failed(root, self._criteria.error(fault), evaluating)
        except ExpressionValueError as error:
            return self._failed(root, error, evaluating)
        result = self.boolean(root)
        lines = [evaluating]
        expanded = self._realized.print(node)
        if expanded != str(result):
            lines.append(self._mask("Expanded: " + expanded))
        lines.append(f"Result: {result}")
        source = Source(self._criteria, self._mask)
        return Evaluation(
            result=result,
            kind=kind_name(root.value),
            value=masked_document(root.value, self._mask),
            trace=self._log.lines(lines[1:]) if self._log else tuple(lines),
            explain=lambda: source.explanation(root),
            message="" if result else message_of(root, source),
            error=None,
            failure=None,
        )

    def _failed(self, root: Entry, failure: ExpressionValueError, evaluating: str) -> Evaluation:
        source = Source(self._criteria, self._mask)
        message = failure_message(root, failure, source)
        return Evaluation(
            result=None,
            kind=None,
            value=None,
            trace=self._log.lines([]) if self._log else (evaluating,),
            explain=lambda: source.explanation(root),
            message=message,
            error={
                "phase": "eval",
                "kind": failure.kind,
                "token": None,
                "position": None,
                "from": failure.from_kind,
                "to": failure.to_kind,
                "message": message,
            },
            failure=failure,
        )

    def evaluate(self, entry: Entry) -> None:
        """Evaluate the node of an entry and note the value."""
        entry.is_skipped = False
        node = entry.node
        kind = type(node)
        if kind is Access:
            self._evaluate_access(cast(Access, node), entry)
            return
        if self._log:
            name = kind_of(node.value) if isinstance(node, Literal) else cast(Call, node).typed
            self._log.evaluating(entry.level, name)
        if isinstance(node, Literal):
            entry.value = node.value
        elif kind is Named:
            entry.value = read(self.read(cast(Named, node).name), self.work)
            self._realized.keep(node, entry.value)
        else:
            self._evaluate_call(cast(Call, node), entry)
        entry.done = True
        if self._log:
            self._log.value(entry.level, entry.value)

    def _evaluate_call(self, node: Call, entry: Entry) -> None:
        level = entry.level + 1
        entry.entries = tuple([Entry(self, argument, level) for argument in node.arguments])
        entry.value = read(node.function.body(self, entry.entries), self.work)
        if node.function.realized:
            self._realized.keep(node, entry.value)

    def _evaluate_access(self, node: Access, entry: Entry) -> None:
        """Evaluate a chain of steps; the engine nests them, so each has a level of its own."""
        keys = None if self._log else node.keys
        if keys is not None:
            found = self._look_up(node, keys)
            if found is not None:
                entry.value = found
                entry.done = True
                self._realized.keep(node, found)
                return
        deepest = entry.level + len(node.steps)
        if self._log:
            for level in range(entry.level, deepest):
                self._log.evaluating(level, "indexer")
        base = Entry(self, node.base, deepest)
        entry.entries = (base,)
        value = base(self).value
        for position, step in enumerate(node.steps, 1):
            level = deepest - position
            if step.key is None:
                value = self._spread(value, level)
            else:
                key = Entry(self, step.key, level + 1)
                if not isinstance(step.key, Literal):
                    entry.entries += (key,)
                looked_into = value
                value = read(take(self, value, key), self.work)
                if value is None and entry.note is None:
                    entry.note = missing_note(looked_into, key.value)
                    entry.missing_at = position if entry.note else None
            if self._log:
                self._log.value(level, value)
        entry.value = value
        entry.done = True
        self._realized.keep(node, value)

    def _spread(self, value: Value, level: int) -> Value:
        if self._log and kind_of(value) in _CONTAINERS:
            self._log.evaluating(level + 1, Kind.STRING)
            self._log.value(level + 1, "*")
        return spread(value, self.work)

    def _look_up(self, node: Access, keys: tuple[str | int, ...]) -> Value:
        """Follow plain names and positions; None where they lead nowhere, or to null."""
        raw = self.read(cast(Named, node.base).name)
        for key in keys:
            kind = type(raw)
            if kind is dict and type(key) is str:
                raw = raw.get(key)  # type: ignore[union-attr]  # a dictionary
            elif kind is list and type(key) is int and key < len(raw):  # type: ignore[arg-type]  # a list
                raw = raw[key]  # type: ignore[index]  # likewise
            else:
                return None
        return read(raw, self.work)

    @staticmethod
    def value(held: Entry) -> Value:
        """Return the value itself."""
        return held.value

    def boolean(self, held: Entry) -> bool:
        """Convert to Boolean."""
        if isinstance(held.value, bool):
            return held.value
        self._convert(held, Kind.BOOLEAN)
        return values.to_boolean(held.value)

    def text(self, held: Entry) -> str:
        """Convert to String, or raise."""
        self._convert(held, Kind.STRING)
        return values.to_text(held.value)

    def try_text(self, held: Entry) -> str | None:
        """Convert to String, or return None."""
        self._convert(held, Kind.STRING)
        return values.try_text(held.value)

    def try_number(self, held: Entry) -> Decimal | None:
        """Convert to Number, or return None."""
        self._convert(held, Kind.NUMBER)
        return values.try_number(held.value)

    def equal(self, left: Entry, right: Entry) -> bool:
        """Compare in the left value's kind."""
        if type(left.value) is not type(right.value):
            kind = kind_of(left.value)
            if kind not in _CONTAINERS:
                self._convert(right, kind)
        return values.equal(left.value, right.value)

    def compare(self, left: Entry, right: Entry) -> int:
        """Order in the left value's kind, or raise."""
        if left.value is None or kind_of(left.value) in _CONTAINERS:
            self._convert(left, Kind.NUMBER)
        self._convert(right, values.ordering_kind(left.value))
        return values.compare(left.value, right.value)

    def _convert(self, held: Entry, kind: Kind) -> None:
        """Note a conversion."""
        if kind_of(held.value) is kind:
            return
        if values.converts(held.value, kind):
            held.converted_to = kind
        elif held.note is None:
            held.note = f"cannot be converted to {kind.value}"
        if self._log:
            self._log.conversion(held.level, held.value, kind)


_CONTAINERS = frozenset({Kind.ARRAY, Kind.OBJECT})
