"""``POST /api/criteria/evaluate``: a criteria tried out against a pasted answer.

Source: HTTP contract, section 5.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from invoke_core.documents import JsonNumber, parse_answer
from invoke_core.errors import (
    AnswerNotJsonError,
    ExpressionSyntaxError,
    InvalidInputError,
    JsonSyntaxError,
    did_you_mean,
)
from invoke_core.expressions import answer_scope, compile_criteria
from invoke_core.model import MASK
from invoke_core.steps import FaultList, pointer, scalar_text
from invoke_core.variables import SHORTEST_SECRET, Masker, is_secret_header

if TYPE_CHECKING:
    from invoke_core.documents import JsonValue

_MEMBERS: Final = (
    "criteria",
    "body",
    "bodyText",
    "status",
    "headers",
    "variables",
    "taskInputs",
    "verbose",
)


def evaluate(document: JsonValue) -> dict[str, JsonValue]:
    """Evaluate a criteria against an answer that the caller describes.

    Args:
        document: The parsed request: ``{"criteria": str, "body": any JSON, or "bodyText": str,
            "status": int, "headers": {}, "variables": {}, "taskInputs": {}, "verbose": bool}``.

    Returns:
        ``{"result", "kind", "value", "trace", "explanation", "message", "error"}``. A criteria
        that does not parse or cannot be evaluated is an answer too.

    Raises:
        InvalidInputError: The document does not describe such a question; every fault at once.
    """
    question = _Reader(document).read()
    masker = Masker(question.secrets)
    mask = masker.show
    try:
        criteria = compile_criteria(question.criteria)
    except ExpressionSyntaxError as error:
        holds_secret = any(
            masker.hide(text) != text
            for text in (question.criteria, question.criteria.replace("''", "'"))
        )
        message = error.unquoted if holds_secret else error.message
        token = MASK if holds_secret and error.token else error.token
        return _answer(message=message, error=_syntax_error(error, message, token))
    if criteria is None:
        return _answer(result=True)
    scope = answer_scope(
        root=question.root,
        content=question.content,
        status=question.status,
        headers=question.headers,
        variables=question.variables,
        task_inputs=question.task_inputs,
    )
    evaluation = criteria.examine(scope, mask=mask, verbose=question.verbose)
    return _answer(
        result=evaluation.result,
        kind=evaluation.kind,
        value=evaluation.value,
        trace=evaluation.trace,
        explanation=evaluation.explanation,
        message=evaluation.message,
        error=evaluation.error,
    )


def _answer(
    *,
    result: bool | None = None,
    kind: str | None = None,
    value: JsonValue = None,
    trace: tuple[str, ...] = (),
    explanation: JsonValue = None,
    message: str = "",
    error: JsonValue = None,
) -> dict[str, JsonValue]:
    return {
        "result": result,
        "kind": kind,
        "value": value,
        "trace": list(trace),
        "explanation": explanation,
        "message": message,
        "error": error,
    }


def _syntax_error(error: ExpressionSyntaxError, message: str, token: str | None) -> JsonValue:
    return {
        "phase": "parse",
        "kind": error.kind,
        "token": token,
        "position": error.position,
        "from": None,
        "to": None,
        "message": message,
    }


@dataclass(slots=True)
class _Question:
    """A request that was understood."""

    criteria: str = ""
    body: JsonValue = None
    body_text: str = ""
    has_body: bool = False
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    task_inputs: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    verbose: bool = False

    def root(self) -> JsonValue:
        """Return the parsed body."""
        if self.has_body:
            return self.body
        text = self.body_text
        try:
            return parse_answer(text)
        except JsonSyntaxError as error:
            if not text.strip():
                _not_json("The criteria reads the body, and the answer's body is empty.")
            _not_json(f"The criteria reads the body. {error.message}")

    def content(self) -> JsonValue:
        """Return the body, parsed where it is JSON."""
        try:
            return self.root()
        except AnswerNotJsonError:
            return self.body_text


def _not_json(message: str) -> NoReturn:
    raise AnswerNotJsonError(message, source="", kind="NotJson")


class _Reader:
    """Reads a request, collecting every fault."""

    def __init__(self, document: JsonValue) -> None:
        self._document = document
        self._faults = FaultList()

    def read(self) -> _Question:
        """Return the question, or raise with all faults."""
        document = self._document
        if not isinstance(document, dict):
            self._faults.add("", "Send an object with 'criteria' and one of 'body', 'bodyText'.")
            raise InvalidInputError(self._faults.faults)
        for name in document:
            if name not in _MEMBERS:
                self._fault(name, f"There is no '{name}' here.{did_you_mean(name, _MEMBERS)}")
        question = _Question(
            criteria=self._text(document, "criteria"),
            body=document.get("body"),
            has_body="body" in document,
            body_text=self._text(document, "bodyText")
            if document.get("bodyText") is not None
            else "",
            status=self._status(document.get("status")),
            headers=self._texts(document, "headers"),
            task_inputs=self._texts(document, "taskInputs"),
            verbose=self._boolean(document.get("verbose")),
        )
        question.secrets += [
            value
            for name, value in question.headers.items()
            if is_secret_header(name) and len(value) >= SHORTEST_SECRET
        ]
        self._read_variables(document, question)
        if "criteria" not in document:
            self._fault("criteria", "'criteria' is missing; give the expression as text.")
        if "body" in document and document.get("bodyText") is not None:
            self._fault("bodyText", "Give 'body' or 'bodyText', not both.")
        if self._faults.faults:
            raise InvalidInputError(self._faults.faults, secrets=question.secrets)
        return question

    def _fault(self, name: str, detail: str, *inner: str) -> None:
        where = ""
        for part in (name, *inner):
            where = pointer(where, part)
        self._faults.add(where, detail)

    def _text(self, document: dict[str, JsonValue], name: str) -> str:
        value = document.get(name, "")
        if isinstance(value, str):
            return value
        self._fault(name, f"'{name}' is a text.")
        return ""

    def _status(self, value: JsonValue) -> int:
        if value is None:
            return 200
        text = value.text if isinstance(value, JsonNumber) else ""
        if len(text) == 3 and text.isdigit() and text >= "100":
            return int(text)
        self._fault("status", "'status' is a whole number from 100 to 999.")
        return 200

    def _boolean(self, value: JsonValue) -> bool:
        if value is None or isinstance(value, bool):
            return bool(value)
        self._fault("verbose", "'verbose' is true or false.")
        return False

    def _members(self, document: dict[str, JsonValue], name: str) -> dict[str, JsonValue]:
        value = document.get(name)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._fault(name, f"'{name}' is an object of names and texts.")
            return {}
        seen: set[str] = set()
        for member in value:
            if member.lower() in seen:
                self._fault(name, f"'{member}' stands here twice; case does not count.", member)
            seen.add(member.lower())
        return value

    def _texts(self, document: dict[str, JsonValue], name: str) -> dict[str, str]:
        texts = {}
        for member, value in self._members(document, name).items():
            text = scalar_text(value)
            if text is None:
                self._fault(name, f"'{member}' is a text.", member)
            else:
                texts[member] = text
        return texts

    def _read_variables(self, document: dict[str, JsonValue], question: _Question) -> None:
        """Read variables as a step gives them: a text, or an object that may call it secret."""
        for name, given in self._members(document, "variables").items():
            value, is_secret = given, False
            if isinstance(given, dict):
                value, secrecy = given.get("value"), given.get("isSecret", False)
                if set(given) - {"value", "isSecret"} or not isinstance(secrecy, bool):
                    self._fault("variables", _VARIABLE, name)
                    continue
                is_secret = secrecy
            text = scalar_text(value)
            if text is None:
                self._fault("variables", _VARIABLE, name)
                continue
            question.variables[name] = text
            if is_secret:
                question.secrets.append(text)
                if len(text) < SHORTEST_SECRET:
                    self._fault("variables", _SHORT, name)


_SHORT: Final = (
    f"A secret has at least {SHORTEST_SECRET} characters; a shorter one cannot be masked."
)
_VARIABLE: Final = 'A variable is a text, or {"value": a text, "isSecret": true or false}.'
