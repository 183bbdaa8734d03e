"""The explaining evaluator: a second walk that notes every value, coercion and skip on the way.

It runs the very functions and index rules of the fast one, under operations that take notes.

Source: expressions reference, section 12; the names of the explanation's members: HTTP contract,
section 5, ``POST /api/criteria/evaluate``.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, cast

from invoke_core.errors import ExpressionValueError
from invoke_core.expressions import values
from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.indexing import spread, take
from invoke_core.expressions.kinds import Caseless, Filtered, Kind, kind_name, kind_of
from invoke_core.expressions.nodes import Access, Call, Literal, Named
from invoke_core.expressions.output import masked_document
from invoke_core.expressions.reasons import failure_message, message_of
from invoke_core.expressions.shown import Shown
from invoke_core.expressions.sources import Source
from invoke_core.expressions.values import read
from invoke_core.expressions.verbose import VerboseLog

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.documents import JsonValue
    from invoke_core.expressions.criteria import Criteria
    from invoke_core.expressions.kinds import Raw, Value
    from invoke_core.expressions.nodes import Mask, Node
    from invoke_core.expressions.operations import Operations
    from invoke_core.expressions.scope import Scope


class Evaluation:
    """An evaluation, explained; every text in it is masked.

    Attributes:
        result: The outcome; None where it could not be evaluated.
        kind: The kind of the value; None likewise.
        trace: The lines the original engine logs; with the verbose ones where they were asked for.
        value: The value itself as a document; None likewise.
        explanation: The tree of sub-expressions, each ``{text, start, end, kind, value,
            convertedTo, skipped, note, arguments}``. ``start`` and ``end`` count UTF-16 units from
            0, so that they cut ``text`` out of the expression. ``value`` is None for arrays and
            objects, whose size the note tells, and cut where it is long. ``convertedTo`` is the
            kind a value was converted to, or None.
        message: One or two sentences on why the outcome is not true; empty where it is.
        error: ``{phase, kind, token, position, from, to, message}``, or None.
        failure: The error as the fast path would have raised it, or None.
    """

    def __init__(
        self,
        *,
        result: bool | None,
        kind: str | None,
        trace: tuple[str, ...],
        message: str,
        root: Entry,
        source: Source,
        error: dict[str, JsonValue] | None = None,
        failure: ExpressionValueError | None = None,
    ) -> None:
        """Keep what is known; what may be large is made when it is asked for."""
        self.result = result
        self.kind = kind
        self.trace = trace
        self.message = message
        self.error = error
        self.failure = failure
        self._root = root
        self._source = source

    @cached_property
    def value(self) -> JsonValue:
        """The value as a document, made when it is first asked for."""
        if self.result is None:
            return None
        return masked_document(self._root.value, self._source.shown.mask)

    @cached_property
    def explanation(self) -> dict[str, JsonValue]:
        """The tree, made when it is first asked for."""
        return self._source.explanation(self._root)


class Entry:
    """What is known of one sub-expression.

    Attributes:
        node: The sub-expression.
        value: What it came to; None until then.
        done: Whether it came to a value.
        converted_to: The kind it was converted to.
        note: A remark for the author.
        missing_at: Which step of an access led nowhere.
        missing: What that step looked into, and for what.
        entries: Those of its arguments, once it is evaluated; of an access, its base and keys.
        is_skipped: Whether it was never evaluated.
    """

    value: Value = None
    done = False
    converted_to: Kind | None = None
    note: str | None = None
    missing_at: int | None = None
    missing: tuple[Value, Value] | None = None
    entries: tuple[Entry, ...] = ()

    def __init__(self, walk: _Walk, node: Node, level: int) -> None:
        """Begin with nothing known."""
        self.walk = walk
        self.node = node
        self.level = level
        self.is_skipped = True

    def __call__(self, _: Operations[Entry], /) -> Entry:
        """Evaluate; an entry is the operand a function gets."""
        walk, node = self.walk, self.node
        if isinstance(node, Literal) and walk.is_silent:
            self.is_skipped = False
            self.value = node.value
            self.done = True
        else:
            walk.evaluate(self)
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
    return _Walk(criteria, scope, mask, is_verbose=verbose).run()


class _Walk:
    """One evaluation; at the same time the operations its functions run under.

    Its public methods are ``operations.Operations`` over entries.
    """

    def __init__(self, criteria: Criteria, scope: Scope, mask: Mask, *, is_verbose: bool) -> None:
        self._criteria = criteria
        self._shown = Shown(mask)
        self._log = VerboseLog(self._shown) if is_verbose else None
        self.is_silent = not is_verbose
        self.read: Callable[[str], Raw] = scope.read
        scope.renew()
        self.work = scope.work

    def run(self) -> Evaluation:
        """Evaluate the whole expression."""
        node = self._criteria.node
        mask = self._shown.mask
        evaluating = mask("Evaluating: " + self._criteria.printed(mask))
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
        expanded = self._shown.expanded(root)
        if expanded != str(result):
            lines.append(mask("Expanded: " + expanded))
        lines.append(f"Result: {result}")
        source = Source(self._criteria, self._shown)
        return Evaluation(
            result=result,
            kind=kind_name(root.value),
            trace=self._log.lines(lines[1:]) if self._log else tuple(lines),
            message="" if result else message_of(root, source),
            root=root,
            source=source,
        )

    def _failed(self, root: Entry, failure: ExpressionValueError, evaluating: str) -> Evaluation:
        source = Source(self._criteria, self._shown)
        message = failure_message(root, failure, source)
        return Evaluation(
            result=None,
            kind=None,
            trace=self._log.lines([]) if self._log else (evaluating,),
            message=message,
            root=root,
            source=source,
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
        if isinstance(node, Access):
            self._evaluate_access(node, entry)
            return
        if self._log:
            name = kind_of(node.value) if isinstance(node, Literal) else node.typed
            self._log.evaluating(entry.level, name)
        if isinstance(node, Literal):
            entry.value = node.value
        elif isinstance(node, Named):
            entry.value = read(self.read(node.name), self.work)
        else:
            self._evaluate_call(node, entry)
        entry.done = True
        if self._log:
            self._log.value(entry.level, entry.value)

    def _evaluate_call(self, node: Call, entry: Entry) -> None:
        level = entry.level + 1
        entry.entries = tuple([Entry(self, argument, level) for argument in node.arguments])
        value = node.function.body(self, entry.entries)
        entry.value = value if isinstance(value, bool) else read(value, self.work)

    def _evaluate_access(self, node: Access, entry: Entry) -> None:
        """Evaluate a chain of steps; the engine nests them, so each has a level of its own."""
        if node.keys is not None and self.is_silent:
            found = self._look_up(node, node.keys)
            if found is not None:
                entry.value = found
                entry.done = True
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
            looked_into = value
            key_value: Value = None
            if step.key is None:
                value = self._spread(value, level)
            else:
                key = Entry(self, step.key, level + 1)
                if not isinstance(step.key, Literal):
                    entry.entries += (key,)
                value = read(take(self, value, key), self.work)
                key_value = key.value
            if entry.missing is None and _led_nowhere(looked_into, key_value, value):
                entry.missing = (looked_into, key_value)
                entry.missing_at = position
            if self._log:
                self._log.value(level, value)
        entry.value = value
        entry.done = True

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
        truth = values.to_boolean(held.value)
        self._note(held, Kind.BOOLEAN, truth)
        return truth

    def text(self, held: Entry) -> str:
        """Convert to String, or raise."""
        text = self.try_text(held)
        return values.to_text(held.value) if text is None else text

    def try_text(self, held: Entry) -> str | None:
        """Convert to String, or return None."""
        if isinstance(held.value, str):
            return held.value
        text = values.try_text(held.value)
        self._note(held, Kind.STRING, text)
        return text

    def try_number(self, held: Entry) -> Decimal | None:
        """Convert to Number, or return None."""
        if isinstance(held.value, Decimal):
            return held.value
        number = values.try_number(held.value)
        self._note(held, Kind.NUMBER, number)
        return number

    def equal(self, left: Entry, right: Entry) -> bool:
        """Compare in the left value's kind."""
        if type(left.value) is type(right.value):
            return values.equal(left.value, right.value)
        kind = kind_of(left.value)
        if kind in _CONTAINERS:
            return False
        converted = self._converted(right, kind)
        if left.value is None:
            return values.is_null(right.value)
        return converted is not None and values.equal(left.value, converted)

    def compare(self, left: Entry, right: Entry) -> int:
        """Order in the left value's kind, or raise."""
        one = left.value
        if one is None or kind_of(one) in _CONTAINERS:
            one = self._converted(left, Kind.NUMBER)
        other = self._converted(right, values.ordering_kind(left.value))
        return values.compare(one, right.value if other is None else other)

    def _converted(self, held: Entry, kind: Kind) -> Value:
        """Convert to any kind, or return None."""
        if kind is Kind.STRING:
            return self.try_text(held)
        if kind is Kind.NUMBER:
            return self.try_number(held)
        if kind is Kind.BOOLEAN:
            return self.boolean(held)
        converted = values.try_version(held.value) if kind is Kind.VERSION else None
        if kind_of(held.value) is not kind:
            self._note(held, kind, converted)
        return converted

    def _note(self, held: Entry, kind: Kind, converted: Value) -> None:
        """Note what a conversion led to; None for nothing, or for Null where that was wanted."""
        if converted is not None or (kind is Kind.NULL and values.is_null(held.value)):
            held.converted_to = kind
        elif held.note is None:
            held.note = f"cannot be converted to {kind.value}"
        if self._log:
            self._log.conversion(held.level, held.value, kind, converted)


def _led_nowhere(looked_into: Value, key: Value, found: Value) -> bool:
    """Tell whether a step found nothing because there is nothing, and not because it is null."""
    if isinstance(found, Filtered):
        if isinstance(looked_into, Filtered):
            return bool(looked_into.items) and not found.items
        return looked_into is None or kind_of(looked_into) not in _CONTAINERS
    if found is not None:
        return False
    if isinstance(looked_into, (dict, Caseless)):
        name = values.try_text(key)
        has = looked_into.has if isinstance(looked_into, Caseless) else looked_into.__contains__
        return name is None or not has(name)
    if isinstance(looked_into, list):
        position = values.try_number(key)
        return position is None or not 0 <= position < len(looked_into)
    return True


_CONTAINERS = frozenset({Kind.ARRAY, Kind.OBJECT})
