"""Why an outcome is not true, in one or two sentences."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from invoke_core.expressions.kinds import Caseless, Filtered, Kind, Version, kind_name
from invoke_core.expressions.nodes import Call, Literal
from invoke_core.expressions.notes import described_kind
from invoke_core.expressions.values import is_null, to_boolean

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.errors import ExpressionValueError
    from invoke_core.expressions.explain import Entry
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.sources import Source

_LONGEST_SHOWN: Final = 200
_LONGEST_MESSAGE: Final = 1500
_MOST_ALTERNATIVES: Final = 2
_MOST_OPTIONS: Final = 10

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
    reason, culprits = _why(root, source, wanted=True)
    sentence = f"{reason}."
    for culprit in culprits:
        note = source.missing_note(culprit)
        if note is not None:
            sentence += f" {note}."
            break
    return _cut(source.mask(sentence), _LONGEST_MESSAGE)


def failure_message(root: Entry, failure: ExpressionValueError, source: Source) -> str:
    """Say where an evaluation failed, and why.

    Args:
        root: What is known of the expression.
        failure: The error.
        source: The expression's text.

    Returns:
        One or two sentences, masked.
    """
    entry = root
    while (inner := _unfinished(entry)) is not None:
        entry = inner
    sentence = failure.message
    if entry is not root:
        sentence = f"In `{_cut(source.cut(entry.node.span))}`: {sentence}"
    culprit = _misfit(entry, failure)
    if culprit is not None and isinstance(culprit.node, Literal):
        sentence = f"{sentence.removesuffix('.')}: {_cut(source.shown.exact(culprit.value))}."
    elif culprit is not None:
        sentence += f" {_subject(culprit, source)} was {_shown(culprit.value, source)}"
        is_collection = isinstance(culprit.value, (list, dict, Filtered, Caseless))
        if is_collection and _name(entry) in {"contains", "startsWith", "endsWith"}:
            sentence += "; containsValue looks into arrays and objects"
        sentence += "."
    for each in entry.entries:
        note = source.missing_note(each)
        if note is not None:
            sentence += f" {note}."
            break
    return _cut(source.mask(sentence), _LONGEST_MESSAGE)


def _misfit(entry: Entry, failure: ExpressionValueError) -> Entry | None:
    """Return the argument that could not be converted."""
    if failure.kind != "TypeCast":
        return None
    done = [each for each in entry.entries if each.done]
    return next((each for each in done if kind_name(each.value) == failure.from_kind), None)


def _unfinished(entry: Entry) -> Entry | None:
    return next((each for each in entry.entries if not (each.is_skipped or each.done)), None)


Reason = tuple[str, "list[Entry]"]
"""Why something is not as wanted, without a full stop, and the entries that are spoken of."""


def _why(entry: Entry, source: Source, *, wanted: bool) -> Reason:
    """Return why an entry is not as wanted."""
    name = _name(entry)
    done = _done(entry)
    if name == "not":
        return _why(done[0], source, wanted=not wanted)
    if name in {"and", "or"}:
        if (name == "and") is wanted:
            return _why(done[-1], source, wanted=wanted)
        return _why_all(done, source, wanted=wanted)
    if name in {"in", "notIn"}:
        return _why_in(done, source, wanted=wanted is (name == "in"))
    if name in _RELATIONS and len(done) == 2:
        return _why_relation(done, name, source, wanted=wanted)
    return _OTHERS.get(name, _why_value)(entry, source, wanted)


def _why_value(entry: Entry, source: Source, wanted: bool) -> Reason:  # noqa: FBT001  # the table's form
    counts = "false" if wanted else "true"
    if isinstance(entry.value, bool):
        return f"{_subject(entry, source)} was {counts}", [entry]
    text = f"{_subject(entry, source)} was {_shown(entry.value, source)}, which counts as {counts}"
    return text, [entry]


def _why_all(done: list[Entry], source: Source, *, wanted: bool) -> Reason:
    """Name the first alternatives, of which one would have been enough."""
    parts = [_why(each, source, wanted=wanted) for each in done[:_MOST_ALTERNATIVES]]
    listed = ", ".join(f"({number}) {text}" for number, (text, _) in enumerate(parts, 1))
    if len(done) > _MOST_ALTERNATIVES:
        listed += f", and {len(done) - _MOST_ALTERNATIVES} more"
    all_of = "None" if wanted else "All"
    what = f"of the {len(done)} alternatives held" if wanted else f"{len(done)} conditions held"
    return f"{all_of} {what}: {listed}", [each for _, culprits in parts for each in culprits]


def _why_in(done: list[Entry], source: Source, *, wanted: bool) -> Reason:
    first, *rest = done
    options = ", ".join(_reference(each, source) for each in rest[:_MOST_OPTIONS])
    more = ", ..." if len(rest) > _MOST_OPTIONS else ""
    relation = "one of" if wanted else "none of"
    return f"{_found(first, source)}; expected {relation} {options}{more}", [first, *rest]


def _why_relation(done: list[Entry], name: str, source: Source, *, wanted: bool) -> Reason:
    left, right = done
    if isinstance(left.node, Literal) and not isinstance(right.node, Literal) and name in _MIRRORED:
        left, right, name = right, left, _MIRRORED[name]
    relation = _RELATIONS[name][0 if wanted else 1]
    expected = f"expected {relation} {_reference(right, source)}"
    return f"{_found(left, source)}; {expected}", [left, right]


def _why_nothing_held(entry: Entry, source: Source, _: bool) -> Reason:  # noqa: FBT001  # likewise
    """``containsValue`` of something that is no collection."""
    left, right = entry.entries
    wanted = _cut(source.cut(right.node.span))
    return (
        f"{_found(left, source)}, which holds nothing; expected an array or object to hold {wanted}"
    ), [left]


def _why_xor(entry: Entry, source: Source, wanted: bool) -> Reason:  # noqa: FBT001  # likewise
    left, right = entry.entries
    truths = [to_boolean(each.value) for each in (left, right)]
    counted = "both" if all(truths) else "neither" if not any(truths) else "one"
    found = f"{_found(left, source)} and {_found(right, source)}"
    verb = "count" if counted == "both" else "counts"
    expected = "exactly one" if wanted else "both or neither"
    return f"{found}, of which {counted} {verb} as true; expected {expected}", [left, right]


def _why_empty(entry: Entry, source: Source, wanted: bool) -> Reason:  # noqa: FBT001  # likewise
    expected = "null or the empty text" if wanted else "neither null nor the empty text"
    return f"{_found(entry.entries[0], source)}; expected {expected}", [entry.entries[0]]


def _why_url(entry: Entry, source: Source, wanted: bool) -> Reason:  # noqa: FBT001  # likewise
    expected = "an absolute http or https URL" if wanted else "anything but a URL"
    return f"{_found(entry.entries[0], source)}; expected {expected}", [entry.entries[0]]


def _why_coalesced(entry: Entry, source: Source, wanted: bool) -> Reason:  # noqa: FBT001  # likewise
    done = _done(entry)
    if is_null(entry.value):
        firsts = ", ".join(_subject(each, source) for each in done[:_MOST_OPTIONS])
        more = ", ..." if len(done) > _MOST_OPTIONS else ""
        return f"{_subject(entry, source)} found nothing: {firsts}{more} were null or empty", done
    reason, culprits = _why(done[-1], source, wanted=wanted)
    return f"coalesce took {_subject(done[-1], source)}, and {reason}", culprits


def _why_chosen(entry: Entry, source: Source, wanted: bool) -> Reason:  # noqa: FBT001  # likewise
    condition, *branches = entry.entries
    chosen = next(each for each in branches if not each.is_skipped)
    reason, culprits = _why(chosen, source, wanted=wanted)
    counts = "true" if to_boolean(condition.value) else "false"
    because = f"iif took {_subject(chosen, source)}, as {_subject(condition, source)} was {counts}"
    return f"{because}, and {reason}", [*culprits, condition]


_OTHERS: Final[dict[str, Callable[[Entry, Source, bool], Reason]]] = {
    "containsValue": _why_nothing_held,
    "xor": _why_xor,
    "isNullOrEmpty": _why_empty,
    "isUrl": _why_url,
    "coalesce": _why_coalesced,
    "iif": _why_chosen,
}


def _name(entry: Entry) -> str:
    return entry.node.function.name if isinstance(entry.node, Call) else ""


def _done(entry: Entry) -> list[Entry]:
    return [each for each in entry.entries if not each.is_skipped]


def _subject(entry: Entry, source: Source) -> str:
    return f"`{_cut(source.cut(entry.node.span))}`"


def _found(entry: Entry, source: Source) -> str:
    return f"{_subject(entry, source)} was {_shown(entry.value, source)}"


def _reference(entry: Entry, source: Source) -> str:
    """Name what something was compared with: a constant by itself, anything else with its value."""
    if isinstance(entry.node, Literal):
        constant = _cut(source.shown.exact(entry.value))
        # That a constant is not null needs no saying.
        is_telling = entry.note is not None and not entry.note.endswith(Kind.NULL)
        return f"{constant}, which {entry.note}" if is_telling else constant
    return f"{_subject(entry, source)}, which was {_shown(entry.value, source)}"


def _shown(value: Value, source: Source) -> str:
    if isinstance(value, str):
        return f"{_cut(source.shown.exact(value))} (text)"
    if isinstance(value, bool):
        return f"{'true' if value else 'false'} (boolean)"
    if isinstance(value, Decimal):
        return f"{source.shown.exact(value)} (number)"
    if isinstance(value, Version):
        return f"{value} (version)"
    return described_kind(value)


def _cut(text: str, most: int = _LONGEST_SHOWN) -> str:
    return text if len(text) <= most else text[:most] + "..."
