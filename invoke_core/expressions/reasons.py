"""Why an outcome is not true, in one or two sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from invoke_core.expressions.kinds import Version
from invoke_core.expressions.nodes import Call, Literal, format_value
from invoke_core.expressions.notes import described_kind

if TYPE_CHECKING:
    from invoke_core.errors import ExpressionValueError
    from invoke_core.expressions.explain import Entry
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.sources import Source

_LONGEST_SHOWN: Final = 200
_MOST_ALTERNATIVES: Final = 3

_RELATIONS: Final = {
    "eq": ("equal to", "different from"),
    "ne": ("different from", "equal to"),
    "lt": ("less than", "at least"),
    "le": ("at most", "greater than"),
    "gt": ("greater than", "at most"),
    "ge": ("at least", "less than"),
    "contains": ("to contain", "not to contain"),
    "startsWith": ("to start with", "not to start with"),
    "endsWith": ("to end with", "not to end with"),
    "containsValue": ("to hold", "not to hold"),
}
"""What was expected of the left argument: to make the call true, and to make it false."""
_MIRRORED: Final = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def message_of(root: Entry, source: Source) -> str:
    """Say why an expression that was evaluated is not true.

    Args:
        root: What is known of it.
        source: Its text.

    Returns:
        One or two sentences, masked.
    """
    sentence, culprits = _why(root, source, wanted=True)
    for culprit in culprits:
        if culprit.missing_at is not None:
            place = source.up_to_step(culprit, culprit.missing_at)
            sentence += f" `{place}`: {culprit.note}."
            break
    return source.mask(sentence)


def failure_message(root: Entry, failure: ExpressionValueError, source: Source) -> str:
    """Say where an evaluation failed, and why.

    Args:
        root: What is known of the expression.
        failure: The error.
        source: The expression's text.

    Returns:
        A sentence, masked.
    """
    entry = root
    while (inner := _unfinished(entry)) is not None:
        entry = inner
    if entry is root:
        return source.mask(failure.message)
    return source.mask(f"In `{_short(source.cut(entry.node.span))}`: {failure.message}")


def _unfinished(entry: Entry) -> Entry | None:
    return next((each for each in entry.entries if not (each.is_skipped or each.done)), None)


def _why(entry: Entry, source: Source, *, wanted: bool) -> tuple[str, list[Entry]]:
    """Return a sentence on why an entry is not as wanted, and the entries it speaks of."""
    node = entry.node
    if isinstance(node, Call):
        name = node.function.name
        if name == "not":
            return _why(_done(entry)[0], source, wanted=not wanted)
        if name in {"and", "or"}:
            return _why_logic(entry, source, wanted=wanted, is_and=name == "and")
        if name in {"in", "notIn"}:
            return _why_in(entry, source, wanted=wanted is (name == "in"))
        if name in _RELATIONS and len(_done(entry)) == 2:
            return _why_relation(entry, name, source, wanted=wanted)
    counts = "false" if wanted else "true"
    if isinstance(entry.value, bool):
        return f"{_subject(entry, source)} was {counts}.", [entry]
    text = f"{_subject(entry, source)} was {_shown(entry.value, source)}, which counts as {counts}."
    return text, [entry]


def _why_logic(
    entry: Entry, source: Source, *, wanted: bool, is_and: bool
) -> tuple[str, list[Entry]]:
    """Name the one argument that decided, or all of them where all had to fail."""
    done = _done(entry)
    if is_and is wanted:
        return _why(done[-1], source, wanted=wanted)
    parts = [_why(each, source, wanted=wanted) for each in done[:_MOST_ALTERNATIVES]]
    sentence = " ".join(text for text, _ in parts)
    if len(done) > _MOST_ALTERNATIVES:
        sentence += f" The other {len(done) - _MOST_ALTERNATIVES} did not help either."
    return sentence, [culprit for _, culprits in parts for culprit in culprits]


def _why_in(entry: Entry, source: Source, *, wanted: bool) -> tuple[str, list[Entry]]:
    first, *rest = _done(entry)
    options = ", ".join(_reference(each, source) for each in rest[:10])
    more = ", ..." if len(rest) > 10 else ""
    relation = "one of" if wanted else "none of"
    found = f"{_subject(first, source)} was {_shown(first.value, source)}"
    return f"{found}; expected {relation} {options}{more}.", [first, *rest]


def _why_relation(
    entry: Entry, name: str, source: Source, *, wanted: bool
) -> tuple[str, list[Entry]]:
    left, right = _done(entry)
    if isinstance(left.node, Literal) and not isinstance(right.node, Literal) and name in _MIRRORED:
        left, right, name = right, left, _MIRRORED[name]
    relation = _RELATIONS[name][0 if wanted else 1]
    found = f"{_subject(left, source)} was {_shown(left.value, source)}"
    return f"{found}; expected {relation} {_reference(right, source)}.", [left, right]


def _done(entry: Entry) -> list[Entry]:
    return [each for each in entry.entries if not each.is_skipped]


def _subject(entry: Entry, source: Source) -> str:
    return f"`{_short(source.cut(entry.node.span))}`"


def _reference(entry: Entry, source: Source) -> str:
    """Name what something was compared with: a constant by itself, anything else with its value."""
    if isinstance(entry.node, Literal):
        return _short(format_value(entry.value, source.mask))
    return f"{_subject(entry, source)}, which was {_shown(entry.value, source)}"


def _shown(value: Value, source: Source) -> str:
    if isinstance(value, str):
        return f"{_short(format_value(value, source.mask))} (text)"
    if isinstance(value, bool):
        return f"{'true' if value else 'false'} (boolean)"
    if isinstance(value, Decimal):
        return f"{format_value(value, source.mask)} (number)"
    if isinstance(value, Version):
        return f"{value} (version)"
    return described_kind(value)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
