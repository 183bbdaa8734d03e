"""The text of sub-expressions, and the explanation as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke_core.expressions.kinds import kind_of
from invoke_core.expressions.nodes import Access, Call
from invoke_core.expressions.notes import size_note
from invoke_core.expressions.output import shown_value
from invoke_core.expressions.values import utf16_length

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions.explain import Entry
    from invoke_core.expressions.nodes import Mask, Node, Span


class Source:
    """An expression's text, cut by spans and masked."""

    def __init__(self, text: str, mask: Mask) -> None:
        """Keep the text."""
        self._text = text
        self.mask = mask
        self._is_ascii = text.isascii()

    def cut(self, span: Span) -> str:
        """Return the text of a span, masked."""
        return self.mask(self._text[span.start : span.end])

    def up_to_step(self, entry: Entry, position: int) -> str:
        """Return the text of an access up to one of its steps, masked."""
        node = entry.node
        if not isinstance(node, Access):
            return self.cut(node.span)
        return self.mask(self._text[node.span.start : node.steps[position - 1].span.end])

    def explanation(self, entry: Entry) -> dict[str, JsonValue]:
        """Return the tree of an evaluation, what was skipped included."""
        members = self._members(entry.node, skipped=False)
        note = entry.note
        if entry.missing_at is not None and note is not None:
            note = f"`{self.up_to_step(entry, entry.missing_at)}`: {note}"
        if entry.done:
            members["kind"] = kind_of(entry.value).value
            members["value"] = shown_value(entry.value, self.mask)
            note = note or size_note(entry.value)
        members["convertedTo"] = entry.converted_to and entry.converted_to.value
        members["note"] = note and self.mask(note)
        members["arguments"] = [
            self._skipped(node) if argument is None else self.explanation(argument)
            for argument, node in zip(entry.entries, _children(entry.node), strict=True)
            if argument is not None or node is not None
        ]
        return members

    def _skipped(self, node: Node | None) -> JsonValue:
        if node is None:
            return None
        members = self._members(node, skipped=True)
        members["arguments"] = [self._skipped(child) for child in _children(node) if child]
        return members

    def _members(self, node: Node, *, skipped: bool) -> dict[str, JsonValue]:
        start, end = node.span.start, node.span.end
        if not self._is_ascii:
            start, end = utf16_length(self._text[:start]), utf16_length(self._text[:end])
        return {
            "text": self.cut(node.span),
            "start": start,
            "end": end,
            "kind": None,
            "value": None,
            "convertedTo": None,
            "skipped": skipped,
            "note": None,
            "arguments": [],
        }


def _children(node: Node) -> tuple[Node | None, ...]:
    """Return what a node is made of; None for a wildcard."""
    if isinstance(node, Call):
        return node.arguments
    if isinstance(node, Access):
        return (node.base, *(step.key for step in node.steps))
    return ()
