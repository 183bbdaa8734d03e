from __future__ import annotations

from dataclasses import replace

import pytest

from fuzz.pipelines import SEEDS, TOKENS, Request, World, judge, judge_ends, run, world
from invoke_core.drafts import hash_token
from invoke_core.model import Result
from invoke_core.ports import Entity
from tests.fuzzing.mutations import mutations
from tests.pipelines.conftest import PASSWORD, Answered, basic

OK = Answered(200, {}, b"{}")


@pytest.fixture
def place() -> World:
    place = world()
    place.begin()
    return place


def request(token: str, *, method: str = "POST", body: bytes = b"") -> Request:
    return Request(method, "/azdo/default", {"Authorization": basic(token)}, body)


def changed(place: World, partition: str, value: str = "x") -> None:
    place.store.rows[partition, "z"] = Entity("z", value.encode(), "etag")


@pytest.mark.parametrize("seed", SEEDS)
def test_no_seed_is_a_finding(seed: bytes) -> None:
    run(seed)


def test_nothing_near_the_seeds_is_a_finding() -> None:
    for data in mutations(SEEDS, TOKENS, count=300):
        run(data)


def test_most_seeds_change_something(place: World) -> None:
    changes = 0
    for seed in SEEDS:
        run(seed)
        changes += place.store.rows != place.rows
    assert changes >= len(SEEDS) // 2


def test_an_answer_as_it_should_be_is_no_finding(place: World) -> None:
    changed(place, place.own.correlation.plan_id)
    judge(place, request(place.own.token), OK, place.rows)


def test_a_failure_of_the_service_is_a_finding(place: World) -> None:
    with pytest.raises(AssertionError, match="failure of the service"):
        judge(place, request(place.own.token), replace(OK, status=500), place.rows)


def test_a_plan_changed_with_the_token_of_another_is_a_finding(place: World) -> None:
    changed(place, place.other.correlation.plan_id)
    with pytest.raises(AssertionError, match="changed without its token"):
        judge(place, request(place.own.token), OK, place.rows)


@pytest.mark.parametrize(("method", "status"), [("POST", 400), ("GET", 200)])
def test_a_call_that_may_not_change_a_row_and_does_is_a_finding(
    place: World, method: str, status: int
) -> None:
    changed(place, place.own.correlation.plan_id)
    with pytest.raises(AssertionError, match="changed a row"):
        judge(
            place,
            request(place.own.token, method=method),
            replace(OK, status=status),
            place.rows,
        )


@pytest.mark.parametrize("form", ["{}", "{hash}"])
@pytest.mark.parametrize("status", [200, 400])
def test_a_token_in_an_answer_is_a_finding(place: World, form: str, status: int) -> None:
    token = place.own.token
    told = form.format(token, hash=hash_token(token))
    with pytest.raises(AssertionError, match="token in an answer"):
        judge(
            place,
            request(token, body=token.encode()),
            Answered(status, {"X-Told": told}, b""),
            place.rows,
        )


@pytest.mark.parametrize("is_token", [True, False])
def test_a_secret_in_the_store_is_a_finding(place: World, *, is_token: bool) -> None:
    changed(place, place.own.correlation.plan_id, place.own.token if is_token else PASSWORD)
    with pytest.raises(AssertionError, match="in the store"):
        judge(place, request(place.own.token), OK, place.rows)


def test_a_secret_in_an_answer_is_a_finding(place: World) -> None:
    answered = replace(OK, headers={"X-Told": PASSWORD})
    with pytest.raises(AssertionError, match="a secret in an answer"):
        judge(place, request(place.own.token), answered, place.rows)


def test_a_second_end_is_a_finding() -> None:
    assert judge_ends((None, None), (Result.FAILED, None)) == (Result.FAILED, None)
    with pytest.raises(AssertionError, match="two ends"):
        judge_ends((Result.FAILED, None), (Result.SUCCEEDED, None))
