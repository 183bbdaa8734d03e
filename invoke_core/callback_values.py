"""Values as external services send them: names without case, enums as text or numbers.

The clients of the protocol are many and old: one capitalises its members, another sends numbers
for enums, a third sends every member it does not use as null. Null counts as absent here.

Source: agentless protocol, sections 4.1 to 4.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

from invoke_core.documents import JsonNumber
from invoke_core.errors import Fault, InvalidInputError, did_you_mean
from invoke_core.steps import pointer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke_core.documents import JsonValue

NO_GUID: Final = "00000000-0000-0000-0000-000000000000"
"""What .NET sends for a GUID that was never set."""

_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_WHOLE: Final = re.compile(r"-?[0-9]{1,10}")
_INT32: Final = range(-(2**31), 2**31)
_LONGEST_TIME: Final = 64


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an object that was sent.

    Attributes:
        pointer: Where it is, its name as typed.
        value: What it holds; never None.
    """

    pointer: str
    value: JsonValue = field(repr=False)


def refuse(where: str, detail: str) -> NoReturn:
    """Raise ``InvalidInputError`` with one fault."""
    raise InvalidInputError([Fault(where, detail)])


def members(value: JsonValue, where: str) -> dict[str, Member]:
    """Return the members of an object by lower-case name; those that are null are left out.

    Args:
        value: What should be an object.
        where: Pointer to it.

    Raises:
        InvalidInputError: It is none, or has a member twice in different letter case.
    """
    if not isinstance(value, dict):
        refuse(where, "This has to be a JSON object.")
    found: dict[str, Member] = {}
    for name, content in value.items():
        if content is None:
            continue
        if name.lower() in found:
            refuse(pointer(where, name), "This member stands twice, in different letter case.")
        found[name.lower()] = Member(pointer(where, name), content)
    return found


def guid_form(text: str) -> str | None:
    """Return a GUID in lower case, or None where a text is none."""
    lowered = text.lower()
    return lowered if _GUID.fullmatch(lowered) else None


def read_guid(value: JsonValue, where: str) -> str:
    """Return a GUID in lower case; see ``members`` for arguments and errors."""
    guid = guid_form(value) if isinstance(value, str) else None
    return guid or refuse(where, "This has to be a GUID.")


def read_text(value: JsonValue, where: str) -> str:
    """Return a text; a number or a truth value is made one."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case JsonNumber():
            return value.text
        case _:
            refuse(where, "This has to be text.")


def read_flag(value: JsonValue, where: str) -> bool:
    """Return a truth value, also where it was sent as text."""
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    return value if isinstance(value, bool) else refuse(where, "This has to be true or false.")


def read_whole(value: JsonValue, where: str) -> JsonNumber:
    """Return a whole number of 32 bits, also where it was sent as text."""
    text = value.text if isinstance(value, JsonNumber) else value
    if isinstance(text, str) and _WHOLE.fullmatch(text) and int(text) in _INT32:
        return JsonNumber(str(int(text)))
    refuse(where, "This has to be a whole number.")


def read_time(value: JsonValue, where: str) -> str:
    """Return an ISO 8601 instant in UTC; one without a zone is taken for UTC."""
    if isinstance(value, str) and len(value) <= _LONGEST_TIME:
        try:
            moment = datetime.fromisoformat(value)
            moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
            precision = "microseconds" if moment.microsecond % 1000 else "milliseconds"
            return moment.isoformat(timespec=precision).replace("+00:00", "Z")
        except (ValueError, OverflowError):
            pass
    refuse(where, "This has to be a time in the form of ISO 8601.")


def read_enum(value: JsonValue, where: str, names: Sequence[str], *, first: int = 0) -> str:
    """Return the name of an enum's value.

    Args:
        value: The name in any case, or its number, or that as text.
        where: Pointer to it.
        names: The names in the order of their numbers.
        first: The number of the first.

    Raises:
        InvalidInputError: It is none of them.
    """
    text = value.text if isinstance(value, JsonNumber) else value
    if isinstance(text, str):
        if _WHOLE.fullmatch(text) and 0 <= int(text) - first < len(names):
            return names[int(text) - first]
        for name in names:
            if name.lower() == text.lower():
                return name
    near = did_you_mean(text, names) if isinstance(text, str) else ""
    numbered = f", or a number from {first} to {first + len(names) - 1}"
    refuse(where, f"This has to be one of {', '.join(names)}{numbered}.{near}")
