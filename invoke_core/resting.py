"""The stored form of a step that waits: the document of the call, exactly as it was read.

It is read again when the step goes on, so a number keeps its text, a text from YAML stays one
that was written without quotes, and what no UTF-8 carries (a lone surrogate) is kept as well.

Source: HTTP contract, section 4 ("What is stored when").
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from invoke_core.documents import JsonNumber, PlainText
from invoke_core.encoding import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.documents import JsonValue

_TEXT: Final = "t"
_PLAIN: Final = "p"
_NUMBER: Final = "n"


@dataclass(frozen=True, slots=True, repr=False)
class RestingStep:
    """What a step that waits needs to be read again. It holds secrets, so it prints nothing.

    Attributes:
        document: The body of the call, parsed; secret variables are in it.
        caller: Who sent it, as ``allow.callers`` names him.
        trace: The headers of the call that are carried on to the target.
    """

    document: JsonValue
    caller: str
    trace: Mapping[str, str]


def encode_step(step: RestingStep) -> bytes:
    """Return a step as bytes: JSON, in which one letter before each text tells what it is."""
    row = {
        "schema": SCHEMA,
        "document": _with_scalars(step.document, _marked),
        "caller": step.caller,
        "trace": dict(step.trace),
    }
    # Escaped, two surrogates side by side would be read as one character; so nothing is escaped.
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def decode_step(value: bytes) -> RestingStep:
    """Return the step that ``encode_step`` wrote."""
    row: dict[str, Any] = json.loads(value.decode("utf-8", "surrogatepass"))
    return RestingStep(
        document=_with_scalars(row["document"], _unmarked),
        caller=row["caller"],
        trace=row["trace"],
    )


def _marked(scalar: JsonValue) -> JsonValue:
    if isinstance(scalar, JsonNumber):
        return _NUMBER + scalar.text
    if isinstance(scalar, PlainText):
        return _PLAIN + scalar
    return _TEXT + scalar if isinstance(scalar, str) else scalar


def _unmarked(scalar: JsonValue) -> JsonValue:
    if not isinstance(scalar, str):
        return scalar
    kind, text = scalar[0], scalar[1:]
    if kind == _NUMBER:
        return JsonNumber(text)
    return PlainText(text) if kind == _PLAIN else text


def _with_scalars(document: JsonValue, change: Callable[[JsonValue], JsonValue]) -> JsonValue:
    """Return a copy of a document with each scalar replaced; names of members stay.

    It goes from container to container: a call of its own for each level would make the depth of
    a caller's document our own.
    """
    whole: list[JsonValue] = [document]
    copies: list[list[JsonValue] | dict[str, JsonValue]] = [whole]
    while copies:
        copy: Any = copies.pop()
        # Values may be replaced on the way, since no member comes or goes.
        for place, value in copy.items() if isinstance(copy, dict) else enumerate(copy):
            if isinstance(value, (dict, list)):
                inner = value.copy()
                copies.append(inner)
                copy[place] = inner
            else:
                copy[place] = change(value)
    return whole[0]
