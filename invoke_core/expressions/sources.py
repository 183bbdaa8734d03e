"""The text of sub-expressions, and the explanation as a document."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, cast

from invoke_core.expressions.kinds import kind_name
from invoke_core.expressions.nodes import Access, Call, Literal, Named, Span, mask_source
from invoke_core.expressions.notes import SIZED, Nearest, described_kind
from invoke_core.expressions.shown import cut

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue
    from invoke_core.expressions.criteria import Criteria
    from invoke_core.expressions.explain import Entry
    from invoke_core.expressions.kinds import Value
    from invoke_core.expressions.nodes import Node
    from invoke_core.expressions.shown import Shown


class Source:
    """An expression's text, cut by spans and masked.

    Attributes:
        shown: How values are shown.
        mask: Hides secrets in a text.
    """

    def __init__(self, criteria: Criteria, shown: Shown) -> None:
        """Keep the text; what is always the same of its parts is kept with the criteria."""
        mask = shown.mask
        self._text = criteria.source
        self._nearest = Nearest()
        self._notes: dict[int, str] = {}
        self.shown = shown
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
        node = entry.node
        if entry.is_skipped:
            return self._skipped(node)
        blank = self._blanks.get(id(node))
        members = (self._blank(node) if blank is None else blank).copy()
        kind = type(node)
        if kind is Literal and entry.converted_to is None and entry.note is None:
            members["arguments"] = []
            return members
        if entry.converted_to is not None:
            members["convertedTo"] = entry.converted_to.value
        if kind is not Literal and entry.done:
            value = entry.value
            members["kind"] = kind_name(value)
            members["value"] = value if type(value) is bool else self.shown.document(value)
            if type(value) in SIZED:
                members["note"] = described_kind(value)
        if entry.missing is not None:
            members["note"] = self.mask(str(self.missing_note(entry)))
        elif entry.note is not None:
            members["note"] = self.mask(entry.note)
        inside = entry.entries
        if kind is Access:
            # Constants, and the name they are looked up in, speak for themselves.
            inside = tuple([each for each in inside if type(each.node) is not Named])
        members["arguments"] = [self.explanation(each) for each in inside]
        return members

    def missing_note(self, entry: Entry) -> str | None:
        """Say which step of an access led nowhere, and why; None where none did."""
        if entry.missing is None:
            return None
        note = self._notes.get(id(entry))
        if note is None:
            place = self.up_to_step(entry, cast(int, entry.missing_at))
            note = self._notes[id(entry)] = f"`{place}`: {self._nearest.note(*entry.missing)}"
        return note

    def _skipped(self, node: Node) -> dict[str, JsonValue]:
        inner: tuple[Node, ...] = ()
        if isinstance(node, Call):
            inner = node.arguments
        elif isinstance(node, Access):
            parts = (node.base, *(step.key for step in node.steps))
            inner = tuple(each for each in parts if isinstance(each, (Access, Call)))
        members = self._blank(node).copy()
        members.update(kind=None, value=None, skipped=True)
        members["arguments"] = [self._skipped(each) for each in inner]
        return members

    def _blank(self, node: Node) -> dict[str, JsonValue]:
        """Return the members of a node that are the same in each explanation of it."""
        blank = self._blanks.get(id(node))
        if blank is None:
            start, end = node.span.start, node.span.end
            constant = node.value if isinstance(node, Literal) else None
            blank = self._blanks[id(node)] = {
                "text": mask_source(self._text[start:end], self.mask),
                "start": self._units(start),
                "end": self._units(end),
                "kind": None if constant is None else kind_name(constant),
                "value": self._constant(constant),
                "convertedTo": None,
                "skipped": False,
                "note": None,
                "arguments": [],
            }
        return blank

    def _constant(self, value: Value) -> JsonValue:
        """Return a constant as a document; masked here, as it may be shown again and again."""
        if isinstance(value, str):
            return cut(self.mask(value))
        return self.shown.document(value)

    def _units(self, position: int) -> int:
        """Return a position in UTF-16 units."""
        if self._wide is None:
            self._wide = [index for index, char in enumerate(self._text) if char > "\uffff"]
        return position + bisect_left(self._wide, position)
