"""YAML as a step is written in it: every scalar is text, and nothing is dangerous or ambiguous.

Source: HTTP contract, section 2 ("YAML is read with every scalar as text").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import yaml

from invoke_core.documents import INPUT_DEPTH_LIMIT, PlainText
from invoke_core.errors import InvalidBodyError

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue


def read_yaml(text: str) -> JsonValue:
    """Read a YAML document with every scalar as text.

    Args:
        text: One YAML document.

    Returns:
        Objects, lists and texts; those without quotes as ``PlainText``.

    Raises:
        InvalidBodyError: Not YAML, more than one document, or one that uses tags, anchors,
            aliases, duplicate or non-text keys, or nests past ``INPUT_DEPTH_LIMIT``.
    """
    builder = _Builder()
    try:
        for event in yaml.parse(text, Loader=yaml.CSafeLoader):
            builder.take(event)
    except yaml.YAMLError as error:
        # The library reads ahead, and has a limit of its own, far past ours.
        if "nesting depth" in _complaint(error):
            raise InvalidBodyError(_TOO_DEEP) from None
        raise InvalidBodyError(f"This is not YAML: {_complaint(error)}.") from None
    return builder.document()


_TOO_DEEP: Final = f"Nested deeper than {INPUT_DEPTH_LIMIT} levels."


class _Mark(Protocol):
    """A place in a YAML text, by whichever of the library's two scanners."""

    line: int
    column: int


def _complaint(error: yaml.YAMLError) -> str:
    mark: _Mark | None = getattr(error, "problem_mark", None)
    if mark is None:
        return str(error).partition("\n")[0]
    return f"{getattr(error, 'problem', 'an error')} at {_place(mark)}"


def _place(mark: _Mark | None) -> str:
    # The library's types allow for a missing mark; its C scanner always gives one.
    return f"line {mark.line + 1}, column {mark.column + 1}" if mark else "a place unknown"


class _Builder:
    """Makes a document of YAML events, refusing what makes YAML dangerous or ambiguous."""

    def __init__(self) -> None:
        self._documents: list[JsonValue] = []
        self._open: list[tuple[dict[str, JsonValue] | list[JsonValue], str | None]] = []
        self._key: str | None = None

    def document(self) -> JsonValue:
        if not self._documents:
            raise InvalidBodyError("The body is empty; send the step as JSON or YAML.")
        return self._documents[0]

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.NodeEvent):
            self._judge(event)
        match event:
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._start({}, event)
            case yaml.SequenceStartEvent():
                self._start([], event)
            case yaml.CollectionEndEvent():
                self._key = self._open.pop()[1]

    def _judge(self, event: yaml.NodeEvent) -> None:
        place = _place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            raise InvalidBodyError(f"YAML aliases are not read here (*{event.anchor}, {place}).")
        if event.anchor:
            raise InvalidBodyError(f"YAML anchors are not read here (&{event.anchor}, {place}).")
        if getattr(event, "tag", None):
            raise InvalidBodyError(f"YAML tags are not read here ({place}).")
        if not self._open and self._documents:
            raise InvalidBodyError(f"There is a second YAML document ({place}); send one.")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        text = str(event.value)
        if self._awaits_key():
            self._take_key(text, event)
        else:
            self._add(PlainText(text) if event.style in {None, ""} else text)

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and self._key is None

    def _take_key(self, text: str, event: yaml.ScalarEvent) -> None:
        members = self._open[-1][0]
        if text in members:
            raise InvalidBodyError(
                f"The key '{text}' stands twice in one object ({_place(event.start_mark)})."
            )
        self._key = text

    def _start(
        self, container: dict[str, JsonValue] | list[JsonValue], event: yaml.CollectionStartEvent
    ) -> None:
        if self._awaits_key():
            raise InvalidBodyError(f"A YAML key is text ({_place(event.start_mark)}).")
        if len(self._open) >= INPUT_DEPTH_LIMIT:
            raise InvalidBodyError(_TOO_DEEP)
        self._add(container)
        self._open.append((container, None))
        self._key = None

    def _add(self, value: JsonValue) -> None:
        if not self._open:
            self._documents.append(value)
            return
        parent = self._open[-1][0]
        if isinstance(parent, list):
            parent.append(value)
        else:
            parent[self._key or ""] = value
            self._key = None
