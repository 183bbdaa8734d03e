"""A document, already parsed, becomes a step: its keys, inputs and variables under one name each.

Nothing is judged here that needs a connection or a macro; that is the work of ``inputs``.

Source: HTTP contract, section 2 ("A step", "Inputs").
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from invoke_core.documents import JsonNumber, PlainText
from invoke_core.errors import MOST_FAULTS, Fault, did_you_mean
from invoke_core.model import Variable
from invoke_core.variables import MOST_SECRETS, SHORTEST_SECRET

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from invoke_core.documents import JsonValue

INPUT_ALIASES: Final[dict[str, tuple[str, ...]]] = {
    "connectionType": ("connectedServiceNameSelector",),
    "serviceConnection": ("connectedServiceName", "genericService"),
    "azureServiceConnection": ("connectedServiceNameARM", "azureSubscription"),
    "azureDevOpsServiceConnection": ("connectedServiceNameAzureDevOps",),
    "method": (),
    "headers": (),
    "body": (),
    "urlSuffix": (),
    "waitForCompletion": (),
    "successCriteria": (),
    "validStatusCodes": (),
}
"""Every input by its first name, with its other names."""

PREDEFINED_VARIABLES: Final = (
    "system.CollectionUri",
    "system.TeamProjectId",
    "system.HostType",
    "system.PlanId",
    "system.JobId",
    "system.TimelineId",
    "system.TaskInstanceId",
    "system.AccessToken",
)
"""Variables that the service sets; a caller may not."""

LONGEST_TIMEOUT_MINUTES: Final = 43_200
MOST_RETRIES: Final = 10

_INPUT_NAMES: Final = {
    alias.lower(): name for name, aliases in INPUT_ALIASES.items() for alias in (name, *aliases)
}
_STEP_KEYS: Final = (
    "task",
    "displayName",
    "inputs",
    "variables",
    "condition",
    "enabled",
    "continueOnError",
    "timeoutInMinutes",
    "retryCountOnTaskFailure",
    "target",
    "gate",
    "poll",
    "outputs",
)
_PREDEFINED: Final = {name.lower(): name for name in PREDEFINED_VARIABLES}
_TASK_GUID: Final = "9c3e8943-130d-4c78-ac63-8af81df62dfb"
_TASK: Final = re.compile(rf"(?:InvokeRESTAPI|{_TASK_GUID})(?:@[01])?", re.IGNORECASE)
_AMOUNT: Final = re.compile(r"\d{1,9}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_COUNT: Final = re.compile(r"\d{1,9}", re.ASCII)
_JSON_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_YAML_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})


@dataclass(frozen=True, slots=True)
class Given:
    """A value with its place in the document."""

    value: JsonValue
    pointer: str


@dataclass(slots=True)
class Step:
    """A step as it was written, under one name each.

    Attributes:
        inputs: The inputs given, by first name.
        variables: The variables given, by lower-case name.
        display_name: What the caller calls the step, or None.
        timeout_minutes: Minutes for the whole task; 0 stands for the default.
        condition: Text and place of its condition, or None.
        enabled: Whether it is to run at all.
        continue_on_error: Whether a failure counts as a success with issues.
        retries: How often it is tried again after a failure.
        retries_pointer: Where that number stands; empty where it is not given.
        variable_pointers: Where each variable stands, by lower-case name.
        gate: How it is evaluated again, or None.
        poll: How a long operation is waited for, or None.
        outputs: What it puts out, or None.
        pointer: Where the step stands in the document.
        inputs_pointer: Where its inputs stand; the step itself where it has none.
    """

    inputs: dict[str, Given] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    display_name: str | None = None
    timeout_minutes: float = 0
    condition: Given | None = None
    enabled: bool = True
    continue_on_error: bool = False
    retries: int = 0
    retries_pointer: str = ""
    variable_pointers: dict[str, str] = field(default_factory=dict)
    gate: Given | None = None
    poll: Given | None = None
    outputs: Given | None = None
    pointer: str = ""
    inputs_pointer: str = ""


class FaultList:
    """Collects faults, so that a caller is told all of them at once."""

    def __init__(self) -> None:
        """Begin with none."""
        self.faults: list[Fault] = []

    def add(self, where: str, detail: str) -> None:
        """Note a fault at a place in the document."""
        self.faults.append(Fault(where, detail))


def pointer(parent: str, name: str | int) -> str:
    """Return the RFC 6901 pointer of a member or item."""
    return f"{parent}/{str(name).replace('~', '~0').replace('/', '~1')}"


def is_absent(value: JsonValue) -> bool:
    """Tell whether a value counts as not given: JSON's null, and what YAML reads as null."""
    return value is None or (isinstance(value, PlainText) and value in _YAML_NULLS)


def scalar_text(value: JsonValue) -> str | None:
    """Return a scalar as text, numbers as they were written; None for an object or array."""
    match value:
        case bool():
            return "true" if value else "false"
        case JsonNumber():
            return value.text
        case str():
            return str(value)
        case _:
            return None


def typed(value: JsonValue) -> JsonValue:
    """Return a value with JSON types where YAML text without quotes means one."""
    if isinstance(value, dict):
        return {str(name): typed(child) for name, child in value.items()}
    if isinstance(value, list):
        return [typed(child) for child in value]
    if not isinstance(value, PlainText):
        return value
    if value in _YAML_NULLS:
        return None
    if value in {"true", "false"}:
        return value == "true"
    return JsonNumber(str(value)) if _JSON_NUMBER.fullmatch(value) else str(value)


def as_texts(value: JsonValue) -> JsonValue:
    """Return a value with every scalar as text, so that YAML and JSON that say the same agree."""
    if isinstance(value, dict):
        return {name: as_texts(child) for name, child in value.items() if not is_absent(child)}
    if isinstance(value, list):
        return [as_texts(child) for child in value]
    return scalar_text(value)


def read_step(document: JsonValue, faults: FaultList) -> Step:
    """Find the one step in a document and read it.

    Args:
        document: A step, a list of one step, or an object with ``steps`` and ``variables``.
        faults: Receives everything that is wrong.

    Returns:
        The step as far as it could be read.
    """
    step = Step()
    if isinstance(document, dict) and "steps" in document:
        for name in document:
            if name not in {"steps", "variables"}:
                _unknown(pointer("", name), "key", name, ("steps", "variables"), faults)
        _read_variables(document.get("variables"), "/variables", step, faults)
        _read_only_step(document["steps"], "/steps", step, faults)
    elif isinstance(document, list):
        _read_only_step(document, "", step, faults)
    else:
        _read_members(document, step, faults)
    return step


def _read_only_step(steps: JsonValue, where: str, step: Step, faults: FaultList) -> None:
    if not isinstance(steps, list):
        faults.add(where, "A list with one step belongs here.")
    elif len(steps) != 1:
        faults.add(where, f"Exactly one step is run at a time; there are {len(steps)} here.")
    else:
        step.pointer = pointer(where, 0)
        _read_members(steps[0], step, faults)


def _read_members(document: JsonValue, step: Step, faults: FaultList) -> None:
    if not isinstance(document, dict):
        faults.add(step.pointer, "A step belongs here: an object with 'task' and 'inputs'.")
        return
    step.inputs_pointer = step.pointer
    known = {key.lower(): key for key in _STEP_KEYS}
    written: dict[str, str] = {}
    for name, value in document.items():
        where = pointer(step.pointer, name)
        key = known.get(name.lower())
        if key is None:
            _unknown_step_key(where, name, faults)
        elif key in written:
            faults.add(where, f"'{name}' and '{written[key]}' are the same key; give one of them.")
        else:
            written[key] = name
            _read_member(key, Given(value, where), step, faults)
    if "inputs" not in written:
        faults.add(step.pointer, "The step has no 'inputs'.")


def _read_member(key: str, given: Given, step: Step, faults: FaultList) -> None:
    if key == "inputs":
        step.inputs_pointer = given.pointer
        _read_inputs(given.value, given.pointer, step, faults)
    elif key == "variables":
        _read_variables(given.value, given.pointer, step, faults)
    elif not is_absent(given.value):
        _read_option(key, given, step, faults)


def _unknown_step_key(where: str, name: str, faults: FaultList) -> None:
    if name.lower() in _INPUT_NAMES:
        faults.add(where, f"'{name}' is an input; it belongs under 'inputs'.")
    else:
        _unknown(where, "key", name, _STEP_KEYS, faults)


def _unknown(where: str, what: str, name: str, known: Iterable[str], faults: FaultList) -> None:
    # Past what is told, the nearest name would be looked for in vain.
    near = did_you_mean(name, known) if len(faults.faults) < MOST_FAULTS else ""
    faults.add(where, f"There is no {what} '{name}'.{near}")


def _read_inputs(value: JsonValue, where: str, step: Step, faults: FaultList) -> None:
    if not isinstance(value, dict):
        faults.add(where, "The inputs belong here: an object with names and values.")
        return
    written: dict[str, str] = {}
    for name, given in value.items():
        place = pointer(where, name)
        first_name = _INPUT_NAMES.get(name.lower())
        if first_name is None:
            known = [alias for key, more in INPUT_ALIASES.items() for alias in (key, *more)]
            _unknown(place, "input", name, known, faults)
        elif is_absent(given):
            continue
        elif first_name in written:
            faults.add(
                place, f"'{name}' and '{written[first_name]}' are the same input; give one of them."
            )
        else:
            written[first_name] = name
            step.inputs[first_name] = Given(given, place)


def _read_variables(value: JsonValue, where: str, step: Step, faults: FaultList) -> None:
    if is_absent(value):
        return
    if not isinstance(value, dict):
        faults.add(where, "Variables are an object: {name: text} or {name: {value, isSecret}}.")
        return
    names: set[str] = set()
    for name, given in value.items():
        place = pointer(where, name)
        if name.lower() in _PREDEFINED:
            faults.add(place, f"'{_PREDEFINED[name.lower()]}' is set by the service.")
        elif name.lower() in names:
            faults.add(place, f"The variable '{name}' stands here twice; names ignore case.")
        elif not is_absent(given):
            variable = _read_variable(name, given, place, faults)
            if variable is not None:
                step.variables[name.lower()] = variable
                step.variable_pointers[name.lower()] = place
        names.add(name.lower())
    if sum(variable.is_secret for variable in step.variables.values()) > MOST_SECRETS:
        faults.add(where, f"There may be {MOST_SECRETS} secret variables at most.")


def _read_variable(name: str, given: JsonValue, where: str, faults: FaultList) -> Variable | None:
    if not isinstance(given, dict):
        text = scalar_text(given)
        if text is None:
            faults.add(where, "The value of a variable is text, or {value, isSecret}.")
            return None
        return Variable(name=name, value=text)
    for member in given:
        if member not in {"value", "isSecret"}:
            _unknown(pointer(where, member), "member", member, ("value", "isSecret"), faults)
    text = "" if is_absent(given.get("value")) else scalar_text(given.get("value"))
    if text is None:
        faults.add(pointer(where, "value"), "The value of a variable is text.")
        return None
    secret = read_boolean(given.get("isSecret"), pointer(where, "isSecret"), faults)
    if secret and len(text) < SHORTEST_SECRET:
        faults.add(
            pointer(where, "value"),
            f"A secret has at least {SHORTEST_SECRET} characters; a shorter one cannot be masked.",
        )
        return None
    return Variable(name=name, value=text, is_secret=secret)


def read_boolean(value: JsonValue, where: str, faults: FaultList) -> bool:
    """Read ``true`` or ``false`` in any case; what is absent is false."""
    if is_absent(value):
        return False
    text = (scalar_text(value) or "").strip().lower()
    if text not in {"true", "false"}:
        faults.add(where, "This is either true or false.")
    return text == "true"


def _read_option(key: str, given: Given, step: Step, faults: FaultList) -> None:
    text = scalar_text(given.value)
    if key in {"gate", "poll", "outputs"}:
        setattr(step, key, given)
    elif key == "target":
        return
    elif text is None:
        faults.add(given.pointer, f"'{key}' takes text, not an object or a list.")
    elif text.strip():
        _read_text_option(key, text.strip(), given, step, faults)


def _read_text_option(key: str, text: str, given: Given, step: Step, faults: FaultList) -> None:
    match key:
        case "task":
            if not _TASK.fullmatch(text):
                faults.add(given.pointer, "The only task here is InvokeRESTAPI@1.")
        case "displayName":
            step.display_name = text
        case "timeoutInMinutes":
            step.timeout_minutes = _read_timeout(text, given.pointer, faults)
        case "condition":
            step.condition = Given(text, given.pointer)
        case "enabled":
            step.enabled = read_boolean(text, given.pointer, faults)
        case "continueOnError":
            step.continue_on_error = read_boolean(text, given.pointer, faults)
        case _:
            step.retries = _read_retries(text, given.pointer, faults)
            step.retries_pointer = given.pointer


def _read_timeout(text: str, where: str, faults: FaultList) -> float:
    minutes = float(text) if _AMOUNT.fullmatch(text) else -1
    if not 0 <= minutes <= LONGEST_TIMEOUT_MINUTES:
        faults.add(
            where, f"'timeoutInMinutes' is a number of minutes from 0 to {LONGEST_TIMEOUT_MINUTES}."
        )
        return 0
    return minutes


def _read_retries(text: str, where: str, faults: FaultList) -> int:
    amount = float(text) if _AMOUNT.fullmatch(text) else -1.0
    # As text, a number is whole where it is written so; as JSON, 1e0 is whole as well.
    is_whole = _COUNT.fullmatch(text) is not None or ("e" in text.lower() and amount.is_integer())
    retries = int(amount) if is_whole else -1
    if not 0 <= retries <= MOST_RETRIES:
        faults.add(
            where,
            f"'retryCountOnTaskFailure' is a whole number of retries from 0 to {MOST_RETRIES}.",
        )
        return 0
    return retries


def read_members(
    given: Given, what: str, names: tuple[str, ...], faults: FaultList
) -> dict[str, Given]:
    """Return the members of an object by their first names.

    Args:
        given: What should be an object; its names are read without case.
        what: The name of the object, for sentences.
        names: The members it may have.
        faults: Receives everything that is wrong.

    Returns:
        The members that are given.
    """
    if not isinstance(given.value, dict):
        faults.add(given.pointer, f"'{what}' is an object; it may have {', '.join(names)}.")
        return {}
    known = {name.lower(): name for name in names}
    members: dict[str, Given] = {}
    for name, value in given.value.items():
        where = pointer(given.pointer, name)
        first_name = known.get(name.lower())
        if first_name is None:
            _unknown(where, f"member of '{what}' named", name, names, faults)
        elif first_name in members:
            faults.add(where, f"'{first_name}' stands here twice; names ignore case.")
        elif not is_absent(value):
            members[first_name] = Given(value, where)
    return members


def read_amount(
    name: str, given: Given, faults: FaultList, *, least: float, most: float, unit: str
) -> float:
    """Return a number with a unit; fractions are accepted.

    Args:
        name: Of the member, for the sentence.
        given: Its value, a number or text.
        faults: Receives what is wrong.
        least: The least it may be.
        most: The most it may be.
        unit: What is counted.

    Returns:
        The number; the least one where something is wrong.
    """
    text = (scalar_text(given.value) or "").strip()
    amount = float(text) if _AMOUNT.fullmatch(text) else -1
    if not least <= amount <= most:
        faults.add(given.pointer, f"'{name}' is a number of {unit} from {least:g} to {most:g}.")
        return least
    return amount


def macro_values(
    variables: Mapping[str, Variable], predefined: Mapping[str, str]
) -> dict[str, str]:
    """Return what macros stand for, by lower-case name.

    Args:
        variables: The caller's variables by lower-case name.
        predefined: The service's, by their documented names; they win.
    """
    values = {name: variable.value for name, variable in variables.items()}
    return values | {name.lower(): value for name, value in predefined.items()}
