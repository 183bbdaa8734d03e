"""The text of sub-expressions, and the explanation as a document."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, cast

from invoke_core.expressions.kinds import kind_name
from invoke_core.expressions.nodes import Access, Call, Literal, Named, Span, mask_source
from invoke_core.expressions.notes import size_note
from invoke_core.expressions.output import shown_value

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions.criteria import Criteria
    from invoke_core.expressions.explain import Entry
    from invoke_core.expressions.nodes import Mask, Node


class Source:
    """An expression's text, cut by spans and masked."""

    def __init__(self, criteria: Criteria, mask: Mask) -> None:
        """Keep the text; what is always the same of its parts is kept with the criteria."""
        self._text = criteria.source
        self.mask = mask
        is_open = mask_source(self._text, mask) == self._text
        self._blanks = criteria.blanks if is_open else {}
        self._wide: list[int] | None = None

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
        members = self._blank(node)
        if entry.done:
            members["kind"] = kind_name(value)
            members["value"] = shown_value(value, self.mask)
        if entry.converted_to is not None:
            members["convertedTo"] = entry.converted_to.value
        members["note"] = self.mask(note) if note else size_note(value)
        if entry.entries:
            members["arguments"] = self._arguments(node, entry.entries)
        else:
            members["arguments"] = []
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
        members = self._blank(node)
        members["skipped"] = True
        members["arguments"] = [self._skipped(each) for each in inner]
        return members

    def _blank(self, node: Node) -> dict[str, JsonValue]:
        """Return the members of a node of which nothing is known but its place."""
        blank = self._blanks.get(id(node))
        if blank is None:
            start, end = node.span.start, node.span.end
            blank = self._blanks[id(node)] = {
                "text": mask_source(self._text[start:end], self.mask),
                "start": self._units(start),
                "end": self._units(end),
                "kind": None,
                "value": None,
                "convertedTo": None,
                "skipped": False,
                "note": None,
                "arguments": [],
            }
        return blank.copy()

    def _units(self, position: int) -> int:
        """Return a position in UTF-16 units."""
        if self._wide is None:
            self._wide = [index for index, char in enumerate(self._text) if char > "\uffff"]
        return position + bisect_left(self._wide, position)
