"""The template of the ``format`` function.

Source: expressions reference, section 7, ``format``.
"""

from __future__ import annotations

import re
from typing import Final

from invoke_core.expressions.faults import EvaluationFault

_LARGEST_INDEX: Final = 255
_BRACE: Final = re.compile("[{}]")
# Possessive: a doubled brace inside a specifier is never taken for a closing one.
_HOLE: Final = re.compile(r"\{([0-9]+)(?::((?:[^}]+|\}\})*+))?\}")


class Hole:
    """A place of a template where an argument goes.

    Attributes:
        index: Which argument, from 0.
        specifier: What follows the colon; empty for none.
    """

    __slots__ = ("index", "specifier")

    def __init__(self, index: int, specifier: str) -> None:
        """Keep both."""
        self.index = index
        self.specifier = specifier


def parse_template(template: str, argument_count: int) -> list[str | Hole]:
    """Split a template into literal texts and holes.

    Args:
        template: The first argument of ``format``.
        argument_count: How many arguments follow it.

    Returns:
        The pieces in order.

    Raises:
        EvaluationFault: ``Format``.
    """
    pieces: list[str | Hole] = []
    position = 0
    while (brace := _BRACE.search(template, position)) is not None:
        pieces.append(template[position : brace.start()])
        if template.startswith(brace[0] * 2, brace.start()):
            pieces.append(brace[0])
            position = brace.end() + 1
            continue
        hole = _HOLE.match(template, brace.start())
        if hole is None:
            raise _fault(
                "The first argument of format has a brace that is neither doubled nor part of "
                "'{0}', '{1}', ..."
            )
        pieces.append(_hole(hole, argument_count))
        position = hole.end()
    pieces.append(template[position:])
    return pieces


def _hole(match: re.Match[str], argument_count: int) -> Hole:
    digits = match[1].lstrip("0") or "0"
    if len(digits) > 3 or int(digits) > _LARGEST_INDEX or int(digits) >= argument_count:
        raise _fault(
            f"format refers to argument {{{digits[:20]}}}, but has {argument_count} to insert, "
            "counted from {0}."
        )
    return Hole(int(digits), (match[2] or "").replace("}}", "}"))


def refuse_specifier() -> EvaluationFault:
    """Return the fault of a specifier on an argument that is no date, and none ever is."""
    return _fault("format takes a specifier such as '{0:yyyy}' for dates only; write '{0}'.")


def _fault(message: str) -> EvaluationFault:
    return EvaluationFault("Format", message)
