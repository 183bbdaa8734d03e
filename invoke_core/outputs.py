"""What a task puts out of its answer, for the steps after it.

Source: HTTP contract, section 3 ("Outputs").
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from invoke_core.documents import dump_json
from invoke_core.errors import AnswerNotJsonError
from invoke_core.expressions import JsonPath, NoMatch
from invoke_core.model import MASK
from invoke_core.steps import pointer, scalar_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke_core.answers import AnswerReading
    from invoke_core.documents import JsonValue
    from invoke_core.steps import FaultList, Given
    from invoke_core.variables import Masker

MOST_OUTPUTS: Final = 50
LONGEST_OUTPUT_BYTES: Final = 32 * 1024

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def read_outputs(given: Given, faults: FaultList, masker: Masker) -> dict[str, JsonPath]:
    """Read the member ``outputs`` of a step.

    Args:
        given: An object: names with JSONPaths.
        faults: Receives everything that is wrong.
        masker: Hides the caller's secrets.

    Returns:
        The paths by name.
    """
    if not isinstance(given.value, dict):
        faults.add(given.pointer, "Outputs are an object: names with JSONPaths into the answer.")
        return {}
    if len(given.value) > MOST_OUTPUTS:
        faults.add(given.pointer, f"There may be {MOST_OUTPUTS} outputs at most.")
    paths: dict[str, JsonPath] = {}
    written: dict[str, str] = {}
    for name, value in given.value.items():
        where = pointer(given.pointer, name)
        if not _NAME.fullmatch(name):
            faults.add(
                where,
                "The name of an output consists of letters, digits and '_', and does not begin "
                "with a digit: it has to be the name of a variable everywhere.",
            )
        elif name.lower() in written:
            faults.add(where, f"'{name}' and '{written[name.lower()]}' are the same output.")
        written.setdefault(name.lower(), name)
        path = _read_path(value, where, faults, masker)
        if path is not None:
            paths[name] = path
    return paths


def _read_path(value: JsonValue, where: str, faults: FaultList, masker: Masker) -> JsonPath | None:
    text = scalar_text(value)
    if text is None:
        faults.add(where, "A JSONPath belongs here, as text, such as $.id.")
        return None
    try:
        return JsonPath.parse(text.strip())
    except ValueError as error:
        faults.add(where, masker.part(str(error), of=text))
        return None


def outputs_of(
    reading: AnswerReading, paths: Mapping[str, JsonPath], *, masker: Masker
) -> tuple[dict[str, str], list[str]]:
    """Return what a task puts out, and remarks on what it does not.

    Args:
        reading: The answer.
        paths: The paths by name.
        masker: Hides every secret, in texts and names but not in numbers.

    Returns:
        Values by name: text as it is, anything else as JSON. One that is not there, or too long,
        is left out, with a remark; one that holds a secret gets a remark too.
    """
    if not paths:
        return {}, []
    try:
        root = reading.root()
    except AnswerNotJsonError as error:
        return {}, [f"There are no outputs. {error.message}"]
    outputs: dict[str, str] = {}
    remarks: list[str] = []
    for name, path in paths.items():
        try:
            found = path.first(root)
        except ValueError as error:
            remarks.append(f"The output '{name}' is left out: {error}")
            continue
        if isinstance(found, NoMatch):
            remarks.append(
                f"The output '{name}' is left out: nothing in the answer is at its path."
            )
            continue
        text = _text(found, masker)
        if len(text.encode("utf-8", "replace")) > LONGEST_OUTPUT_BYTES:
            remarks.append(
                f"The output '{name}' is left out: it has over {LONGEST_OUTPUT_BYTES:,} bytes."
            )
        else:
            outputs[name] = text
            if MASK in text:
                remarks.append(f"The output '{name}' holds a secret, which reads {MASK} in it.")
    return outputs, remarks


def _text(found: JsonValue, masker: Masker) -> str:
    if isinstance(found, str):
        return masker.show(found)
    written = dump_json(found)
    shown = masker.show_in(found, raw=written)
    return written if shown is found else dump_json(shown)
