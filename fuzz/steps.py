"""Steps: YAML, JSON and a step at rest are read alike, and faults tell where, and no secret."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from fuzz.draw import Draw, Target
from invoke_core.connections import Connection, ConnectionBook, ConnectionKind, KnownConnection
from invoke_core.documents import dump_json
from invoke_core.errors import InvalidBodyError, InvalidInputError
from invoke_core.inputs import Task, read_task
from invoke_core.model import Correlation
from invoke_core.problems import problem_of
from invoke_core.resting import RestingStep, decode_step, encode_step
from invoke_core.steps import typed
from invoke_core.web.bodies import read_document

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.documents import JsonValue

    Read = Callable[..., Task]

SECRET: Final = "hunter2-s3cret"
BOOK: Final = ConnectionBook([
    KnownConnection("demo", Connection(name="demo", kind=ConnectionKind.GENERIC, url="https://h"))
])  # fmt: skip
NOBODY: Final = Correlation(
    plan_url="https://h/azdo/", project_id="p", hub_name="build", plan_id="i", job_id="j",
    timeline_id="t", task_instance_id="k",
)  # fmt: skip
NAMES: Final = (
    "task", "displayName", "timeoutInMinutes", "condition", "enabled", "continueOnError",
    "retryCountOnTaskFailure", "gate", "poll", "outputs", "serviceConnection", "method", "headers",
    "body", "urlSuffix", "waitForCompletion", "successCriteria", "validStatusCodes",
    "connectionType", "genericService", "steps", "inputs", "variables", "a/b~c",
)  # fmt: skip
TOKENS: Final = (
    *NAMES, "InvokeRESTAPI@1", "demo", "GET", "POST", "true", "false", "null", "~", "200-299",
    "$(a)", "$(s)", "eq(1, 1)", "1", "1e3", '{"Accept": "x"}', "&a", "*a", "!!str", "- ", ": ",
    "\n", "'", '"', SECRET, "\u00e9",
)  # fmt: skip


def step(draw: Draw) -> JsonValue:
    """Return a step with a secret variable, mostly of known members."""
    members: dict[str, JsonValue] = {}
    inputs: dict[str, JsonValue] = {"serviceConnection": "demo"}
    for _ in range(draw.byte() % 8):
        where = inputs if draw.byte() % 2 else members
        name = draw.pick(NAMES) if draw.byte() % 8 else draw.word(TOKENS)
        where[name] = draw.document(TOKENS, 2) if draw.byte() % 3 == 0 else draw.word(TOKENS)
    secret: JsonValue = {"value": SECRET, "isSecret": True}
    return {**members, "inputs": inputs, "variables": {"s": secret, "a": draw.word(TOKENS)}}


def resolves(pointer: str, document: JsonValue) -> bool:
    """Tell whether a pointer leads into a document, but for its last name."""
    names = [n.replace("~1", "/").replace("~0", "~") for n in pointer.split("/")[1:]]
    for name in names[:-1]:
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdigit() and int(name) < len(document):
            document = document[int(name)]
        else:
            return False
    return pointer == "" or pointer.startswith("/")


def outcome(read: Read, document: JsonValue, *, hides: bool) -> object:
    """Return the task of a document, or its faults once they are judged."""
    try:
        task = read(document, connections=BOOK, correlation=NOBODY, token="t" * 43)
    except InvalidInputError as error:
        assert all(fault.detail for fault in error.faults)
        assert all(resolves(fault.pointer, document) for fault in error.faults), error.faults
        shown = dump_json(problem_of(error, instance="/").document)
        assert not hides or SECRET not in shown, shown
        return error.faults
    source = task.criteria.source if task.criteria else None
    return replace(task, criteria=None), source


def check(data: bytes, *, read: Read = read_task) -> None:
    """Read a text as JSON and as YAML."""
    draw = Draw(data)
    made = step(draw) if draw.byte() % 2 else None
    text = draw.rest() if made is None else dump_json(made)
    body = text.encode("utf-8", "surrogateescape")
    documents: list[JsonValue] = []
    for kind in ("json", "yaml"):
        try:
            documents.append(read_document({"content-type": f"application/{kind}"}, body))
        except InvalidBodyError as error:
            assert error.message  # a text may as well be valid
    outcomes = [outcome(read, document, hides=made is not None) for document in documents]
    for document, found in zip(documents, outcomes, strict=True):
        rested = decode_step(encode_step(RestingStep(document, "", {}))).document
        assert outcome(read, rested, hides=made is not None) == found
    # Within quotes YAML folds these, which JSON takes for any character.
    if len(documents) == 2 and not set(text) & set("\u0085\u2028\u2029\ufeff"):
        assert typed(documents[1]) == documents[0]
        assert outcomes[0] == outcomes[1]


SEEDS: Final = (
    "inputs:\n  serviceConnection: demo\n  method: GET\n",
    '{"inputs": {"serviceConnection": "demo", "body": {"a": 1.50, "b": null}}}',
    '{"inputs": {"serviceConnection": "demo", "validStatusCodes": 200}}',
)
TARGET: Final = Target(
    check, (*(b"\0" + text.encode() for text in SEEDS), b"\1\5" + bytes(range(60))), TOKENS
)
