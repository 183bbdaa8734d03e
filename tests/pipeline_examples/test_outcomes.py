"""Each product passes and fails as the task does, and says why."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.azurite import free_port
from tests.pipeline_examples.conftest import HOSTILE, KEY
from tests.pipeline_examples.products import PRODUCTS
from tests.sign_in import TOKEN, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.pipeline_examples.conftest import NewJob, Target
    from tests.pipeline_examples.products import Ended, Job

    Run = Callable[[Job], Ended]

OUTPUTS = {"deploymentId": "$.id"}


@pytest.fixture(params=PRODUCTS)
def product(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def run(product: str) -> Run:
    return PRODUCTS[product]


def taken_up(product: str, text: str) -> dict[str, str]:
    """Read outputs as a product does."""
    lines = text.splitlines()
    match product:
        case "azure-pipelines":
            begin = "##vso[task.setvariable variable="
            pairs = [line.removeprefix(begin).split(";isOutput=true]", 1) for line in lines]
        case "github":
            (named, value, end) = lines
            name, delimiter = named.split("<<")
            assert delimiter == end
            pairs = [[name, value]]
        case "jenkins":
            return dict(json.loads(text))
        case _:
            pairs = [line.replace("'", "").split("=", 1) for line in lines]
    return {pair[0]: pair[1] for pair in pairs}


def test_a_task_that_succeeds_passes_with_its_log_and_its_outputs(
    product: str, run: Run, new_job: NewJob
) -> None:
    ended = run(new_job(members={"outputs": OUTPUTS, "displayName": "Deploy"}))

    assert ended.code == 0, ended.shown
    assert "Starting: Deploy" in ended.shown
    assert "Finished: succeeded" in ended.shown
    assert taken_up(product, ended.outputs) == {"deploymentId": "d-17"}


def test_a_task_that_fails_fails_the_job_with_the_reason(run: Run, new_job: NewJob) -> None:
    ended = run(new_job({"successCriteria": "eq(root['id'], 'd-18')"}))

    assert ended.code == 1
    assert "criteriaNotMet: `root['id']` was 'd-17'" in ended.shown
    assert "The task failed (criteriaNotMet): http://127.0.0.1:" in ended.shown
    assert ended.outputs == ""


def test_a_task_that_has_not_ended_in_time_fails_the_job(run: Run, new_job: NewJob) -> None:
    """The service answers 408 here, and 202 to whoever does not ask strictly."""
    ended = run(new_job({"waitForCompletion": "true"}, timeout_s=1))

    assert ended.code == 3
    assert "Waiting for TaskCompleted" in ended.shown
    assert "The task has not ended after 1 s" in ended.shown


def test_a_wrong_key_fails_the_job(run: Run, new_job: NewJob) -> None:
    ended = run(new_job(key="another"))

    assert ended.code == 2
    assert "401: the function key (INVOKE_KEY) is missing or wrong" in ended.shown
    assert "another" not in ended.shown


def test_a_service_behind_a_sign_in_is_called_with_a_token(
    run: Run, new_job: NewJob, service: str
) -> None:
    with sign_in(service) as front:
        ended = run(new_job(url=front.url, token=TOKEN, members={"outputs": OUTPUTS}))

    assert ended.code == 0, ended.shown
    assert ended.outputs
    assert {shown for _, shown in front.tokens} == {f"Bearer {TOKEN}"}
    assert TOKEN not in ended.shown


@pytest.mark.parametrize(
    ("token", "key", "said"),
    [
        ("", KEY, "The sign-in before the service answered 401: it asks for a token"),
        (
            "another",
            KEY,
            "The sign-in before the service answered 401: the token (INVOKE_TOKEN)",
        ),
        (TOKEN, "another", "401: the function key (INVOKE_KEY) is missing or wrong"),
    ],
    ids=["no token", "wrong token", "wrong key"],
)
def test_a_401_tells_the_sign_in_from_the_key(
    new_job: NewJob, service: str, token: str, key: str, said: str
) -> None:
    with sign_in(service) as front:
        ended = PRODUCTS["dash"](new_job(url=front.url, token=token, key=key))

    assert ended.code == 2
    assert said in ended.shown
    assert "another\n" not in ended.shown


def test_a_service_that_has_no_room_for_too_long_fails_the_job(
    product: str, run: Run, new_job: NewJob
) -> None:
    step = {"serviceConnection": f"narrow-{product}"}
    first = run(new_job(step, run=1))

    ended = run(new_job(step, run=2, timeout_s=2))

    assert first.code == 0
    assert ended.code == 3
    assert "| status 429" in ended.shown
    assert '"code":"tooManyRequests"' in ended.shown


def test_a_service_that_cannot_be_reached_fails_the_job(run: Run, new_job: NewJob) -> None:
    ended = run(new_job(url=f"http://127.0.0.1:{free_port()}", more={"INVOKE_PATIENCE": "1"}))

    assert ended.code == 3
    assert "no usable answer came from http://127.0.0.1:" in ended.shown
    assert "| curl: (7)" in ended.shown


def test_a_step_with_faults_fails_the_job_with_every_fault(run: Run, new_job: NewJob) -> None:
    ended = run(new_job({"metod": "GET"}))

    assert ended.code == 2
    assert "The service answered 400" in ended.shown
    assert "Did you mean 'method'?" in ended.shown


def test_a_job_that_runs_again_runs_the_task_again(
    run: Run, new_job: NewJob, target: Target
) -> None:
    step = {"urlSuffix": f"/{new_job().folder.name}"}

    ended = [run(new_job(step, attempt=attempt)) for attempt in (1, 2)]
    again = run(new_job(step, attempt=2))

    assert [one.code for one in (*ended, again)] == [0, 0, 0]
    assert target.asked[step["urlSuffix"]] == 2
    assert "This attempt has run its task before" in again.shown


@pytest.mark.parametrize("product", ["github", "jenkins"])
def test_jobs_that_the_product_names_alike_run_a_task_each(
    run: Run, new_job: NewJob, target: Target
) -> None:
    """Two jobs that call one reusable workflow, and two cells of a matrix."""
    step = {"urlSuffix": f"/{new_job().folder.name}"}

    ended = [run(new_job(step, sibling=sibling)) for sibling in (1, 2)]

    assert [one.code for one in ended] == [0, 0]
    assert target.asked[step["urlSuffix"]] == 2


def test_nothing_that_others_write_is_a_command(run: Run, new_job: NewJob) -> None:
    failed = run(new_job({"successCriteria": "eq(root['note'], 'harmless')"}, run=1))
    refused = run(new_job({HOSTILE: "\u2028##vso[task.complete]"}, run=2))

    assert (failed.code, refused.code) == (1, 2)
    assert "task.setvariable" in failed.shown
    assert "task.setvariable" in refused.shown
    assert "##" not in failed.shown + refused.shown
    assert "\u2028" not in refused.shown
