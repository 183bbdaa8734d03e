"""What one evaluation may cost, whatever it is made of.

An expression is short, but each of its 21,000 characters may ask for a walk over ten megabytes.
So everything whose cost grows with the document, or with the length of a text, is paid for from
one budget, in steps of about a tenth of a microsecond. What only depends on the expression is
free, and so the fast path pays nothing.

Source: HTTP contract, section 2: a path visits at most 1,000,000 nodes. Inferred: the rest.
"""

from __future__ import annotations

from typing import Final

from invoke_core.expressions.faults import EvaluationFault
from invoke_core.expressions.texts import utf16_length

MOST_STEPS: Final = 5_000_000
"""So many steps may be made in one evaluation: half a second on a common machine."""

MOST_NODES: Final = 1_000_000
"""So many nodes may be visited by the paths of one evaluation."""

FREE_TEXT: Final = 50
"""A text of fewer characters costs nothing by itself: what may be done with it is soon done."""

_PLAIN_PER_STEP: Final = 16
_OTHER_PER_STEP: Final = 2


class Work:
    """What may still be done in an evaluation.

    Attributes:
        steps: Steps left.
        nodes: Nodes left for paths.
    """

    __slots__ = ("nodes", "steps")

    def __init__(self) -> None:
        """Begin with all of it."""
        self.steps = MOST_STEPS
        self.nodes = MOST_NODES

    def spend(self, steps: int) -> None:
        """Pay for something.

        Args:
            steps: What it costs.

        Raises:
            EvaluationFault: ``TooMuchWork`` where there is not so much left.
        """
        self.steps -= steps
        if self.steps < 0:
            raise EvaluationFault(
                "TooMuchWork",
                "The evaluation takes too long: it walks over too many items, or too much text.",
            )

    def visit(self, nodes: int) -> None:
        """Pay for nodes that a path visits.

        Args:
            nodes: How many.

        Raises:
            EvaluationFault: ``TooManyNodes``.
        """
        self.nodes -= nodes
        if self.nodes < 0:
            raise EvaluationFault(
                "TooManyNodes",
                f"The paths of the expression visit more than {MOST_NODES:,} nodes.",
            )

    def pay_for(self, text: str) -> None:
        """Pay for what will be done with a text: reading it as a number, folding, searching.

        Args:
            text: Any text; one beyond ASCII costs more, as its characters are mapped one by one,
                and one beyond the BMP again more, as they are cut in two.

        Raises:
            EvaluationFault: ``TooMuchWork``.
        """
        length = len(text)
        if length < FREE_TEXT:
            return
        if text.isascii():
            self.spend(length // _PLAIN_PER_STEP)
        else:
            self.spend(length // _OTHER_PER_STEP + utf16_length(text) - length)
