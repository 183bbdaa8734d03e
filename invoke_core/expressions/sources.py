"""The text of sub-expressions, and the explanation as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from invoke_core.expressions.kinds import kind_name
from invoke_core.expressions.nodes import Access, Call, Literal, Named, Span, mask_source
from invoke_core.expressions.notes import size_note
from invoke_core.expressions.output import shown_value
from invoke_core.expressions.values import utf16_length

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions.explain import Entry
    from invoke_core.expressions.nodes import Mask, Node


class Source:
    """An expression's text, cut by spans and masked."""

    def __init__(self, text: str, mask: Mask) -> None:
        """Keep the text."""
        self._text = text
        self.mask = mask
        self._is_ascii = text.isascii()

    def cut(self, span: Span) -> str:
        """Return the text of a span, masked."""
        return mask_source(self._text[span.start : span.end], self.mask)

    def up_to_step(self, entry: Entry, position: int) -> str:
        """Return the text of an access up to one of its steps, masked."""
        node = cast(Access, entry.node)
        return self.cut(Span(node.span.start, node.steps[position - 1].span.end))

    def explanation(self, entry: Entry) -> dict[str, JsonValue]:
        """Return the tree of an evaluation, what was skipped included."""
        node, value, note = entry.node, entry.value, entry.note
        if entry.missing_at is not None:
            note = f"`{self.up_to_step(entry, entry.missing_at)}`: {note}"
        converted = entry.converted_to
        members = self._place(node)
        members["kind"] = kind_name(value) if entry.done else None
        members["value"] = shown_value(value, self.mask) if entry.done else None
        members["convertedTo"] = converted if converted is None else converted.value
        members["skipped"] = False
        members["note"] = self.mask(note) if note else size_note(value)
        members["arguments"] = self._arguments(node, entry.entries) if entry.entries else []
        return members

    def _arguments(self, node: Node, entries: list[Entry | None]) -> list[JsonValue]:
        """Return those of a call, or what an access computes beside its constants."""
        if isinstance(node, Access):
            return [
                self.explanation(entry)
                for entry in entries
                if entry is not None and not isinstance(entry.node, (Literal, Named))
            ]
        return [
            self._skipped(argument) if entry is None else self.explanation(entry)
            for entry, argument in zip(entries, cast(Call, node).arguments, strict=True)
        ]

    def _skipped(self, node: Node) -> JsonValue:
        inner: tuple[Node, ...] = ()
        if isinstance(node, Call):
            inner = node.arguments
        elif isinstance(node, Access):
            parts = (node.base, *(step.key for step in node.steps))
            inner = tuple(each for each in parts if isinstance(each, (Access, Call)))
        members = self._place(node)
        members.update(kind=None, value=None, convertedTo=None, skipped=True, note=None)
        members["arguments"] = [self._skipped(each) for each in inner]
        return members

    def _place(self, node: Node) -> dict[str, JsonValue]:
        start, end = node.span.start, node.span.end
        text = mask_source(self._text[start:end], self.mask)
        if not self._is_ascii:
            start, end = utf16_length(self._text[:start]), utf16_length(self._text[:end])
        return {"text": text, "start": start, "end": end}
