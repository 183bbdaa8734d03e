"""A document, already parsed, becomes a task: defaults, macros, and every fault at once.

Source: HTTP contract, section 2; the task's own documentation for names and defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from invoke_core.conditions import DEFAULT_CONDITION, condition_text, read_condition
from invoke_core.connections import ConnectionKind
from invoke_core.documents import dump_json, without_lone_surrogates
from invoke_core.errors import ExpressionSyntaxError, InvalidInputError, did_you_mean
from invoke_core.expressions import compile_criteria
from invoke_core.gates import read_gate
from invoke_core.headers import read_headers
from invoke_core.model import CompletionEvent, Method
from invoke_core.outputs import read_outputs
from invoke_core.polling import read_poll
from invoke_core.steps import (
    INPUT_ALIASES,
    FaultList,
    Given,
    as_texts,
    macro_values,
    read_boolean,
    read_step,
    scalar_text,
    typed,
)
from invoke_core.variables import Masker, expand
from invoke_core.verdict import StatusCodes

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.conditions import Skip
    from invoke_core.connections import ConnectionBook
    from invoke_core.documents import JsonValue
    from invoke_core.errors import Fault
    from invoke_core.expressions import Criteria, JsonPath
    from invoke_core.gates import GateOptions
    from invoke_core.model import Correlation
    from invoke_core.polling import PollOptions
    from invoke_core.steps import Step

DEFAULT_TIMEOUT_MINUTES: Final = 60
DEFAULT_STATUS_CODES: Final = "200-299"

_CONNECTION_TYPES: Final = {
    "connectedServiceName": (ConnectionKind.GENERIC, "serviceConnection"),
    "connectedServiceNameARM": (ConnectionKind.AZURE_RESOURCE_MANAGER, "azureServiceConnection"),
    "connectedServiceNameAzureDevOps": (
        ConnectionKind.AZURE_DEVOPS,
        "azureDevOpsServiceConnection",
    ),
}
_NO_BODY: Final = frozenset({Method.GET, Method.HEAD, Method.TRACE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One invocation as it is to be run; macros are expanded, everything is checked.

    Attributes:
        display_name: What the pipeline's author calls it.
        connection: Name of an existing service connection, as its administrator wrote it.
        method: The method.
        headers: Names in their letter case and values, in order; without the credential.
        body: The bytes to send, or None for no body.
        url_suffix: Appended to the connection's URL.
        criteria: The success criteria, compiled; None where there is none.
        valid_status: Status codes that count as success.
        completion_event: What ends the task.
        timeout_s: Seconds for the whole task.
        condition_text: The condition as it was given, or the one that stands for none.
        skip: Why the task is not to run; None where it is.
        continue_on_error: Whether a failure counts as a success with issues.
        retries: How often the task is tried again after a failure; 0 in Callback mode.
        gate: How it is evaluated again until it passes; None where it is not.
        poll: How the operation it starts is waited for; None where it is not.
        outputs: Paths into the answer, by name.
        variables: Values of variables by name.
        inputs: Texts of the inputs by every name they have, for ``taskInputs[…]``.
        secrets: Values of secret variables.
        warnings: Remarks for the author.
        asked: What was asked, before macros were expanded, in one form however it was written;
            two tasks that say the same have the same.
    """

    display_name: str
    connection: str
    method: Method
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes | None = field(repr=False)
    url_suffix: str = field(repr=False)
    criteria: Criteria | None = field(repr=False)
    valid_status: StatusCodes
    completion_event: CompletionEvent
    timeout_s: float
    condition_text: str = field(repr=False)
    skip: Skip | None
    continue_on_error: bool
    retries: int
    gate: GateOptions | None
    poll: PollOptions | None
    outputs: dict[str, JsonPath]
    variables: dict[str, str] = field(repr=False)
    inputs: dict[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    warnings: tuple[str, ...]
    asked: str = field(repr=False)

    @property
    def may_outlive_its_call(self) -> bool:
        """Whether further requests may follow the first one."""
        return bool(self.retries or self.gate or self.poll)


def read_task(
    document: JsonValue,
    *,
    connections: ConnectionBook,
    correlation: Correlation,
    token: str,
    also: tuple[Fault, ...] = (),
    is_kept: bool = False,
    keeps_secrets: Callable[[], bool] = lambda: True,
) -> Task:
    """Read the one task in a document.

    Args:
        document: A step, a list of one step, or an object with ``steps`` and ``variables``.
        connections: The service connections there are.
        correlation: The identifiers of the invocation to come, for the predefined variables.
        token: The AuthToken, which only a task in Callback mode gets to see.
        also: Faults found elsewhere in the same request, reported together with these.
        is_kept: Whether the step is to be kept for later, beyond what it asks for itself.
        keeps_secrets: Tells whether a step that is kept may hold secrets.

    Returns:
        The task, ready to run.

    Raises:
        InvalidInputError: Anything is wrong; every fault is named.
    """
    faults = FaultList()
    faults.faults.extend(also)
    step = read_step(document, faults)
    reader = _Reader(step, faults, connections, correlation, token)
    task = reader.task()
    if task is not None and (is_kept or task.may_outlive_its_call) and not keeps_secrets():
        reader.refuse_secrets(task)
    if faults.faults or task is None:
        raise InvalidInputError(faults.faults, secrets=reader.secrets)
    return task


class _Reader:
    """Reads the inputs of one step, noting faults and warnings as it goes."""

    def __init__(
        self,
        step: Step,
        faults: FaultList,
        connections: ConnectionBook,
        correlation: Correlation,
        token: str,
    ) -> None:
        self.secrets = tuple(v.value for v in step.variables.values() if v.is_secret)
        self._step = step
        self._faults = faults
        self._connections = connections
        self._warnings: list[str] = []
        self._texts: dict[str, str] = {}
        # Whether a macro stands for the AuthToken depends on an input that may have macros itself.
        self._values = macro_values(step.variables, _predefined(correlation, ""))
        self._event = self._completion_event()
        shown_token = token if self._event is CompletionEvent.CALLBACK else ""
        self._values["system.accesstoken"] = shown_token
        self._masker = Masker((*self.secrets, shown_token))

    def task(self) -> Task | None:
        """Return the task, or None where faults left it without a method or connection."""
        connection = self._connection()
        method = self._method()
        headers = self._headers(connection)
        body = self._body(method)
        url_suffix = self._text("urlSuffix", "")
        criteria = self._criteria()
        valid_status = self._valid_status()
        skip = read_condition(self._step, self._faults, self._masker)
        self._check_retries()
        gate, poll, outputs = self._gate(), self._poll(), self._outputs()
        if connection is None or method is None or valid_status is None:
            return None
        return Task(
            display_name=self._step.display_name or f"Invoke REST API: {method}",
            connection=connection,
            method=method,
            headers=headers,
            body=body,
            url_suffix=url_suffix,
            criteria=criteria,
            valid_status=valid_status,
            completion_event=self._event,
            timeout_s=self._timeout_s(gate, poll),
            condition_text=condition_text(self._step),
            skip=skip,
            continue_on_error=self._step.continue_on_error,
            retries=self._step.retries,
            gate=gate,
            poll=poll,
            outputs=outputs,
            variables={v.name: v.value for v in self._step.variables.values()},
            inputs={
                alias: text
                for name, text in self._texts.items()
                for alias in (name, *INPUT_ALIASES[name])
            },
            secrets=self.secrets,
            warnings=tuple(dict.fromkeys(self._warnings)),
            asked=_asked(self._step),
        )

    def _timeout_s(self, gate: GateOptions | None, poll: PollOptions | None) -> float:
        """Return the time of the whole task; a gate and a poll have their own."""
        if gate is not None:
            return gate.timeout_s
        if poll is not None:
            return poll.timeout_s
        return 60 * (self._step.timeout_minutes or DEFAULT_TIMEOUT_MINUTES)

    def _gate(self) -> GateOptions | None:
        given = self._step.gate
        if given is None:
            return None
        self._refuse_with_callback(given, "gate")
        if self._step.poll is not None:
            self._faults.add(given.pointer, "'gate' and 'poll' do not go together; give one.")
        if self._step.retries:
            self._faults.add(
                self._step.retries_pointer,
                "'retryCountOnTaskFailure' does not go with 'gate', which goes on anyway.",
            )
        return read_gate(given, self._faults)

    def _poll(self) -> PollOptions | None:
        given = self._step.poll
        if given is None:
            return None
        self._refuse_with_callback(given, "poll")
        return read_poll(given, self._faults, self._masker)

    def _outputs(self) -> dict[str, JsonPath]:
        given = self._step.outputs
        if given is None:
            return {}
        if self._event is CompletionEvent.CALLBACK:
            self._faults.add(
                given.pointer,
                "'outputs' goes with 'waitForCompletion: false'; a callback puts out the variables "
                "that the external service sets.",
            )
        return read_outputs(given, self._faults, self._masker)

    def _refuse_with_callback(self, given: Given, name: str) -> None:
        if self._event is CompletionEvent.CALLBACK:
            self._faults.add(
                given.pointer,
                f"'{name}' goes with 'waitForCompletion: false'; a callback ends the task itself.",
            )

    def refuse_secrets(self, task: Task) -> None:
        """Note a fault for each secret of a step that is to be kept where none may be.

        Those are secret variables, and what is never shown because of the name it stands under.
        """
        why = (
            "A step that runs in the background, or may be tried again, is kept until its end, and "
            "the service has no key to seal secrets with: set STATE_KEY, or leave the secret out."
        )
        for name, variable in self._step.variables.items():
            if variable.is_secret:
                self._faults.add(self._step.variable_pointers[name], why)
        by_name = Masker(())
        token = self._values["system.accesstoken"]
        if any(
            by_name.show_header(name, value) != value and not (token and token in value)
            for name, value in task.headers
        ):
            self._fault("headers", why)
        if by_name.show_url(task.url_suffix) != task.url_suffix:
            self._fault("urlSuffix", why)

    def _expand(self, text: str, name: str) -> str:
        def unknown(macro: str) -> None:
            self._warnings.append(
                f"The input '{name}' has the macro $({macro}), and there is no such variable; "
                "it was left as it is."
            )

        return expand(text, self._values, unknown=unknown)

    def _text(self, name: str, default: str, *, blank_is_absent: bool = False) -> str:
        """Return an input as text, macros expanded; the default where it is not given."""
        given = self._step.inputs.get(name)
        text = default
        if given is not None:
            written = scalar_text(given.value)
            if written is None:
                self._fault(name, f"The input '{name}' is text, not an object or a list.")
            elif written.strip() or not blank_is_absent:
                text = self._expand(written, name)
        self._texts[name] = text
        return text

    def _fault(self, name: str, detail: str) -> None:
        given = self._step.inputs.get(name)
        where = given.pointer if given else self._step.inputs_pointer
        self._faults.add(where, detail)

    def _choice(self, name: str, default: str, choices: tuple[str, ...]) -> str | None:
        text = self._text(name, default, blank_is_absent=True).strip()
        found = next((choice for choice in choices if choice.lower() == text.lower()), None)
        if found is None:
            self._fault(
                name,
                f"The input '{name}' is one of {', '.join(choices)}; it is "
                f"'{self._masker.part(text, of=self._texts[name])}'.{did_you_mean(text, choices)}",
            )
        return found

    def _connection(self) -> str | None:
        """Return the name of the connection that the selected connection type names."""
        selected = self._choice("connectionType", "connectedServiceName", tuple(_CONNECTION_TYPES))
        if selected is None:
            return None
        kind, name = _CONNECTION_TYPES[selected]
        before = len(self._faults.faults)
        text = self._text(name, "", blank_is_absent=True).strip()
        if len(self._faults.faults) > before:
            return None
        if not text:
            self._fault(name, f"The input '{name}' is required for connectionType '{selected}'.")
            return None
        known = self._connections.find(text)
        if known is None:
            near = did_you_mean(text, self._connections.names())
            quoted = self._masker.part(text, of=self._texts[name])
            self._fault(name, f"There is no service connection '{quoted}'.{near}")
            return None
        if known.connection is not None and known.connection.kind is not kind:
            self._fault(
                name,
                f"The service connection '{known.name}' is of type {known.connection.kind}, "
                f"and connectionType '{selected}' takes one of type {kind}.",
            )
        return known.name

    def _method(self) -> Method | None:
        text = self._choice("method", Method.POST, tuple(Method))
        return None if text is None else Method(text)

    def _headers(self, connection: str | None) -> tuple[tuple[str, str], ...]:
        known = self._connections.find(connection) if connection else None
        given = self._step.inputs.get("headers")
        if given is not None and not isinstance(given.value, dict):
            self._texts["headers"] = scalar_text(given.value) or ""
        return read_headers(
            given,
            self._faults,
            expand=lambda text: self._expand(text, "headers"),
            granted_only=bool(known and known.connection and known.connection.allow.given),
        )

    def _body(self, method: Method | None) -> bytes | None:
        given = self._step.inputs.get("body")
        if given is None:
            return None
        written = scalar_text(given.value)
        if written is None:
            written = dump_json(typed(given.value))
        text = self._expand(written, "body")
        self._texts["body"] = text
        if method is Method.TRACE and text:
            self._warnings.append("TRACE is never sent with a body; the input 'body' was dropped.")
        if not text or method in _NO_BODY:
            return None
        return without_lone_surrogates(text).encode()

    def _completion_event(self) -> CompletionEvent:
        text = self._text("waitForCompletion", "false", blank_is_absent=True)
        where = self._step.inputs.get("waitForCompletion", Given(None, "")).pointer
        waits = read_boolean(text, where, self._faults)
        return CompletionEvent.CALLBACK if waits else CompletionEvent.API_RESPONSE

    def _criteria(self) -> Criteria | None:
        text = self._text("successCriteria", "")
        if text.strip() and self._event is CompletionEvent.CALLBACK:
            self._fault(
                "successCriteria",
                "'successCriteria' goes with 'waitForCompletion: false'; "
                "a callback's result is never compared with it.",
            )
        try:
            return compile_criteria(text)
        except ExpressionSyntaxError as error:
            holds_secret = self._masker.hide(text) != text
            self._fault("successCriteria", error.unquoted if holds_secret else error.message)
            return None

    def _valid_status(self) -> StatusCodes | None:
        text = self._text("validStatusCodes", DEFAULT_STATUS_CODES, blank_is_absent=True)
        try:
            return StatusCodes.parse(text)
        except ValueError as error:
            part = self._masker.part(str(error), of=text)
            self._fault(
                "validStatusCodes",
                f"'{part}' is no status code and no range of them; "
                "codes and ranges stand between commas, as in 200-299,404.",
            )
            return None

    def _check_retries(self) -> None:
        if self._step.retries and self._event is CompletionEvent.CALLBACK:
            self._faults.add(
                self._step.retries_pointer,
                "'retryCountOnTaskFailure' goes with 'waitForCompletion: false'; a task that waits "
                "for a callback ends when it fails. Leave it out, and send the step again.",
            )


def _asked(step: Step) -> str:
    """Return a step in one form, however it was written."""
    inputs: JsonValue = {
        name: _said(name, given.value) for name, given in sorted(step.inputs.items())
    }
    variables: JsonValue = {
        name: [variable.value, variable.is_secret]
        for name, variable in sorted(step.variables.items())
    }
    said: list[JsonValue] = [inputs, variables, step.display_name, _minutes_said(step)]
    # An option at its default is left out, as it was when these options were not known yet: a key
    # that was stored then still matches.
    options = _options_said(step)
    return dump_json([*said, options] if options else said)


def _minutes_said(step: Step) -> str:
    """Return the time of the task; its default is the same whether it is written out or not."""
    is_default = step.timeout_minutes in {0, DEFAULT_TIMEOUT_MINUTES}
    return "0" if is_default else str(step.timeout_minutes)


def _options_said(step: Step) -> dict[str, JsonValue]:
    """Return the control options that are not at their defaults."""
    options: dict[str, JsonValue] = {}
    condition = condition_text(step)
    if condition.lower() != DEFAULT_CONDITION:
        options["condition"] = condition
    if step.continue_on_error:
        options["continueOnError"] = True
    if not step.enabled:
        options["enabled"] = False
    if step.retries:
        options["retryCountOnTaskFailure"] = str(step.retries)
    for name, given in (("gate", step.gate), ("poll", step.poll)):
        if given is not None:
            options[name] = _members_said(given.value, lower=True)
    if step.outputs is not None and step.outputs.value:
        options["outputs"] = _members_said(step.outputs.value)
    return options


def _members_said(value: JsonValue, *, lower: bool = False) -> JsonValue:
    """Return an option's members in one order, in lower case where their names ignore it."""
    said = as_texts(value)
    if not isinstance(said, dict):
        return said
    return {name.lower() if lower else name: said[name] for name in sorted(said, key=str.lower)}


def _said(name: str, value: JsonValue) -> JsonValue:
    if isinstance(value, (dict, list)):
        return typed(value)
    text = scalar_text(value) or ""
    return text.strip().lower() if name in _CASELESS else text


_CASELESS: Final = frozenset({"connectionType", "method", "waitForCompletion"}).union(
    name for _, name in _CONNECTION_TYPES.values()
)
"""Inputs whose value means the same in any letter case."""


def _predefined(correlation: Correlation, token: str) -> dict[str, str]:
    return {
        "system.CollectionUri": correlation.plan_url,
        "system.TeamProjectId": correlation.project_id,
        "system.HostType": correlation.hub_name,
        "system.PlanId": correlation.plan_id,
        "system.JobId": correlation.job_id,
        "system.TimelineId": correlation.timeline_id,
        "system.TaskInstanceId": correlation.task_instance_id,
        "system.AccessToken": token,
    }
