"""The functions of the language, as one table.

A function is written once and runs under two sets of operations (:class:`Operations`): the fast
one works on plain values, the explaining one notes every value and coercion on the way. What a
function does not ask for is never evaluated: it receives its arguments as thunks.

Source: expressions reference, sections 7 to 9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from invoke_core.documents import dump_json
from invoke_core.expressions.formatting import parse_template, refuse_specifier
from invoke_core.expressions.kinds import Caseless, Filtered, kind_of
from invoke_core.expressions.output import refuse_long, to_document
from invoke_core.expressions.tokens import WHITE
from invoke_core.expressions.values import (
    LONGEST_TEXT,
    EvaluationFault,
    canonical,
    equal,
    fold,
    held,
    is_null,
    lower,
    too_long,
    try_text,
    upper,
    utf16_length,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from invoke_core.expressions.kinds import Raw, Value

H = TypeVar("H")
"""How a set of operations holds an evaluated value."""

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class Operations(Protocol[In_contra]):
    """What a function can do with its arguments."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One entry of the table.

    Attributes:
        name: As documented.
        least: Fewest arguments.
        most: Most arguments.
        body: What it does.
        realized: Whether the trace shows its value in its place, not the call.
    """

    name: str
    least: int
    most: int
    body: Body
    realized: bool = False


def _and(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    for argument in arguments:  # noqa: SIM110  # all() would cost a generator on the hottest path
        if not ops.boolean(argument(ops)):
            return False
    return True


def _or(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    for argument in arguments:  # noqa: SIM110  # likewise
        if ops.boolean(argument(ops)):
            return True
    return False


def _not(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return not ops.boolean(arguments[0](ops))


def _xor(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.boolean(arguments[0](ops))
    return left is not ops.boolean(arguments[1](ops))


def _eq(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.equal(left(ops), right(ops))


def _ne(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return not ops.equal(left(ops), right(ops))


def _lt(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) < 0


def _le(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) <= 0


def _gt(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) > 0


def _ge(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left, right = arguments
    return ops.compare(left(ops), right(ops)) >= 0


def _in(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    wanted = arguments[0](ops)
    for argument in arguments[1:]:  # noqa: SIM110  # likewise
        if ops.equal(wanted, argument(ops)):
            return True
    return False


def _not_in(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return not _in(ops, arguments)


def _contains(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.text(arguments[0](ops))
    right = ops.text(arguments[1](ops))
    return fold(right) in fold(left)


def _starts_with(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.text(arguments[0](ops))
    right = ops.text(arguments[1](ops))
    return fold(left).startswith(fold(right))


def _ends_with(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    left = ops.text(arguments[0](ops))
    right = ops.text(arguments[1](ops))
    return fold(left).endswith(fold(right))


def _contains_value(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    items = _members(ops.value(arguments[0](ops)))
    if items is None:
        return False
    wanted = ops.value(arguments[1](ops))
    return any(equal(wanted, canonical(item)) for item in items)


def _coalesce(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    value: Value = None
    for argument in arguments:
        value = ops.value(argument(ops))
        if not is_null(value):
            break
    return value


def _join(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    joined = arguments[1](ops)
    items = _list(ops.value(joined))
    if items is None:
        return ops.try_text(joined) or ""
    if not items:
        return ""
    texts = [try_text(canonical(items[0])) or ""]
    if len(items) == 1:
        return texts[0]
    separator = ops.text(arguments[0](ops))
    length = len(texts[0])
    for item in items[1:]:
        text = try_text(canonical(item)) or ""
        length += len(separator) + len(text)
        if length > LONGEST_TEXT:
            raise too_long()
        texts.append(text)
    return separator.join(texts)


def _format(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    pieces = parse_template(ops.text(arguments[0](ops)), len(arguments) - 1)
    texts: dict[int, str] = {}
    built: list[str] = []
    length = 0
    for piece in pieces:
        if isinstance(piece, str):
            text = piece
        else:
            if piece.index not in texts:
                texts[piece.index] = ops.text(arguments[piece.index + 1](ops))
            if piece.specifier:
                raise refuse_specifier()
            text = texts[piece.index]
        length += len(text)
        if length > LONGEST_TEXT:
            raise too_long()
        built.append(text)
    return "".join(built)


def _length(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    value = ops.value(arguments[0](ops))
    if isinstance(value, str):
        return Decimal(utf16_length(value))
    if isinstance(value, (list, dict, Caseless)):
        return Decimal(len(value))
    raise _unsupported("length", "a text, an array or an object", value)


def _count(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Count the items of an array.

    Inferred: a filtered array is counted too, which is what somebody who writes
    ``count(root.items[*].id)`` wants; the original's own body is not known.
    """
    value = ops.value(arguments[0](ops))
    items = _list(value)
    if items is None:
        raise _unsupported("count", "an array", value)
    return Decimal(len(items))


def _jsonpath(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    # Imported here: the path library costs more than the whole language, and few criteria use it.
    from invoke_core.expressions.jsonpath import find  # noqa: PLC0415

    path = ops.text(arguments[0](ops))
    return find(path, ops.read("root"))


def _is_null_or_empty(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return is_null(ops.value(arguments[0](ops)))


def _intersect(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Return the items of the first array that the second holds too, each once.

    Inferred: items are matched exactly, texts with their case, as .NET's own intersection does.
    """
    left = ops.value(arguments[0](ops))
    right = ops.value(arguments[1](ops))
    mine, theirs = _list(left), _list(right)
    if mine is None:
        raise _unsupported("intersect", "two arrays", left)
    if theirs is None:
        raise _unsupported("intersect", "two arrays", right)
    wanted = {_identity(item) for item in theirs}
    found: dict[object, Raw] = {}
    for item in mine:
        key = _identity(item)
        if key in wanted:
            found.setdefault(key, item)
    return list(found.values())


def _identity(raw: Raw) -> object:
    value = canonical(raw)
    if isinstance(value, (list, dict, Filtered, Caseless)):
        return id(value)
    return type(value), value


_URL: Final = re.compile(rf"https?://[^{WHITE}/?#\\]+(?:[/?#][^{WHITE}]*)?", re.IGNORECASE)


def _is_url(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Tell whether a text is an absolute http or https URL.

    Inferred: the original's own rule is not known.
    """
    return _URL.fullmatch(ops.text(arguments[0](ops))) is not None


def _lower(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return lower(ops.text(arguments[0](ops)))


def _upper(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return upper(ops.text(arguments[0](ops)))


def _trim(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    return ops.text(arguments[0](ops)).strip(WHITE)


def _replace(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Replace every occurrence of the second text in the first by the third.

    Inferred: letter case counts, as in .NET's own; an empty second text changes nothing.
    """
    text = ops.text(arguments[0](ops))
    old = ops.text(arguments[1](ops))
    new = ops.text(arguments[2](ops))
    if not old:
        return text
    if len(text) + text.count(old) * (len(new) - len(old)) > LONGEST_TEXT:
        raise too_long()
    return text.replace(old, new)


def _split(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Split a text at a separator, keeping empty pieces.

    Inferred: a separator of several characters is one text, not a set; an empty one splits nothing.
    """
    text = ops.text(arguments[0](ops))
    separator = ops.text(arguments[1](ops))
    return list(text.split(separator)) if separator else [text]


def _iif(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    """Return the second or third argument by the first; the other one is not evaluated.

    Inferred: the documentation leaves open whether it is.
    """
    chosen = arguments[1] if ops.boolean(arguments[0](ops)) else arguments[2]
    return ops.value(chosen(ops))


def _convert_to_json(ops: Operations[H], arguments: Sequence[Operand[H]]) -> Raw:
    value = to_document(ops.value(arguments[0](ops)))
    refuse_long(value)
    return held(dump_json(value, indent=2))


def _status(*wanted: str) -> Body:
    def body(ops: Operations[H], _: Sequence[Operand[H]]) -> Raw:
        return ops.read("status") in wanted

    return body


def _members(value: Value) -> Collection[Raw] | None:
    """Return what a collection holds, or None for anything else."""
    if isinstance(value, (dict, Caseless)):
        return list(value.values())
    return _list(value)


def _list(value: Value) -> list[Raw] | None:
    """Return the items of an array or filtered array, or None for anything else."""
    if isinstance(value, Filtered):
        return value.items
    return value if isinstance(value, list) else None


def _unsupported(name: str, wanted: str, value: Value) -> EvaluationFault:
    return EvaluationFault(
        "UnsupportedKind", f"{name} takes {wanted}; this is of kind {kind_of(value)}."
    )


_MANY: Final = 2**31 - 1

_COMMON: Final = (
    Function("and", 2, _MANY, _and),
    Function("or", 2, _MANY, _or),
    Function("not", 1, 1, _not),
    Function("xor", 2, 2, _xor),
    Function("eq", 2, 2, _eq),
    Function("ne", 2, 2, _ne),
    Function("lt", 2, 2, _lt),
    Function("le", 2, 2, _le),
    Function("gt", 2, 2, _gt),
    Function("ge", 2, 2, _ge),
    Function("in", 2, _MANY, _in),
    Function("notIn", 2, _MANY, _not_in),
    Function("contains", 2, 2, _contains),
    Function("startsWith", 2, 2, _starts_with),
    Function("endsWith", 2, 2, _ends_with),
    Function("containsValue", 2, 2, _contains_value),
    Function("coalesce", 2, _MANY, _coalesce),
    Function("join", 2, 2, _join, realized=True),
    Function("format", 1, 255, _format, realized=True),
    Function("length", 1, 1, _length),
    Function("lower", 1, 1, _lower),
    Function("upper", 1, 1, _upper),
    Function("trim", 1, 1, _trim),
    Function("replace", 3, 3, _replace),
    Function("split", 2, 2, _split),
    Function("iif", 3, 3, _iif),
    Function("convertToJson", 1, 1, _convert_to_json),
)
_ANSWER: Final = (
    Function("count", 1, 1, _count),
    Function("jsonpath", 1, 1, _jsonpath, realized=True),
    Function("isNullOrEmpty", 1, 1, _is_null_or_empty),
    Function("intersect", 2, 2, _intersect),
    Function("isUrl", 1, 1, _is_url),
)
_STATUS: Final = (
    Function("always", 0, 0, _status("succeeded", "failed", "canceled")),
    Function("succeeded", 0, 0, _status("succeeded")),
    Function("failed", 0, 0, _status("failed")),
    Function("canceled", 0, 0, _status("canceled")),
    Function("succeededOrFailed", 0, 0, _status("succeeded", "failed")),
)


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """Which names an expression may use.

    Attributes:
        functions: By lower-case name.
        names: The named values, by lower-case name.
    """

    functions: Mapping[str, Function]
    names: Mapping[str, str]


def _dialect(functions: Sequence[Function], names: Sequence[str]) -> Dialect:
    return Dialect(
        functions={function.name.lower(): function for function in functions},
        names={name.lower(): name for name in names},
    )


CRITERIA: Final = _dialect((*_COMMON, *_ANSWER), ("root", "response", "variables", "taskInputs"))
"""What success criteria may say."""

CONDITION: Final = _dialect((*_COMMON, *_STATUS), ("variables",))
"""What the condition of a step may say: the status of the job, not yet any answer."""
