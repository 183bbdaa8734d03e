"""What is written down of an invocation before its request is sent."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from invoke_core.drafts import hash_token
from invoke_core.events import Exchanged
from invoke_core.lifecycle import advance
from invoke_core.model import Result
from tests.state.parts import START, Clock, all_rows, call, make_service

if TYPE_CHECKING:
    from invoke_core.drafts import Draft
    from invoke_core.ports import EntityStore
    from invoke_core.service import InvokeService
    from tests.api.target import Target

SECRET = "correct horse battery"


@pytest.fixture
def service(store: EntityStore, target: Target) -> InvokeService:
    return make_service(store, url=target.url, now=Clock())


def draft_of(service: InvokeService, **inputs: Any) -> Draft:  # noqa: ANN401
    what = call(**inputs)
    document: Any = what.document
    document["variables"] = {"password": {"value": SECRET, "isSecret": True}}
    timeout = document["inputs"].pop("timeoutInMinutes", None)
    if timeout is not None:
        document["timeoutInMinutes"] = timeout
    return service.drafts.draft(what, START)


@pytest.mark.parametrize("minutes", ["0.0123456", "0.1", "0.7", "60", "43200"])
@pytest.mark.parametrize("waits", ["true", "false"])
def test_what_a_process_remembers_is_what_it_stored(
    service: InvokeService, minutes: str, waits: str
) -> None:
    draft = draft_of(service, waitForCompletion=waits, timeoutInMinutes=minutes)

    added = service.journal.add(draft.record, [])

    assert service.journal.load(added.plan_id) == added


def test_nothing_that_opens_a_callback_is_readable_in_the_store(
    service: InvokeService, store: EntityStore
) -> None:
    draft = draft_of(service, waitForCompletion="true", body="$(password)")
    (token,) = [value for name, value in draft.prepared.request.headers if name == "AuthToken"]

    service.journal.add(draft.record, [])

    record = draft.record
    assert record.token_hash == hash_token(token) == hashlib.sha256(token.encode()).hexdigest()
    assert service.drafts.seal.unseal(record.sealed, token=token) == (SECRET,)
    for _, entity in all_rows(store):
        assert token.encode() not in entity.value
        assert SECRET.encode() not in entity.value


def test_an_api_response_has_no_token_and_nothing_sealed(service: InvokeService) -> None:
    record = draft_of(service, body="$(password)").record

    assert (record.token_hash, record.sealed) == ("", "")


def test_a_draft_is_an_invocation_that_runs(service: InvokeService) -> None:
    record = draft_of(service).record

    ended = advance(record, Exchanged(result=Result.SUCCEEDED), START)

    assert not record.is_final
    assert ended.is_final
    assert record.report_by is not None
    assert record.report_by > START
