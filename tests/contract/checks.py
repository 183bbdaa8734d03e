"""What schemathesis does not check itself: headers and bodies that nobody described."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import schemathesis

from tests.contract.service import FUNCTION_KEY

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, Response

_OF_EVERY_ANSWER: Final = frozenset(
    {
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "date",
        "server",
        "x-content-type-options",
    }
)


def _described(response: Response, case: Case[Any]) -> dict[str, Any]:
    """Return what is described of an answer with this status, references resolved."""
    found = case.operation.responses.find_by_status_code(response.status_code)
    return {} if found is None else dict(found.definition)


@schemathesis.check
def no_header_is_undescribed(_: CheckContext, response: Response, case: Case[Any]) -> None:
    described = {name.lower() for name in _described(response, case).get("headers", {})}
    extra = {name.lower() for name in response.headers} - described - _OF_EVERY_ANSWER
    assert not extra, f"Headers that are not described: {sorted(extra)}"


@schemathesis.check
def no_body_is_undescribed(_: CheckContext, response: Response, case: Case[Any]) -> None:
    if not _described(response, case).get("content"):
        assert response.content == b"", "The answer has a body, and none is described."


@schemathesis.check
def nobody_gets_in_without_a_key(_: CheckContext, response: Response, case: Case[Any]) -> None:
    asked = str(case.operation.definition.raw.get("security", "functionKey"))
    if "functionKey" in asked:
        shown = response.request.headers.get("x-functions-key")
        assert response.status_code == 401 or shown == FUNCTION_KEY, "There was no valid key."
    elif "planToken" in asked and "Authorization" not in response.request.headers:
        assert response.status_code == 401, "There was no token."
