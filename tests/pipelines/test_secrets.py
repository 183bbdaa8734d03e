"""What an external service uploads holds none of the secrets it was given, in any form."""

from __future__ import annotations

import base64
import json
from time import process_time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest

from tests.pipelines.conftest import PASSWORD, URL_KEY, VARIABLE, basic, make_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.ports import EntityStore
    from tests.pipelines.conftest import Plan

OTHER = "0d3c1f5e-7d43-4c8e-8a2b-6f1f0f9d2c11"

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "URL-encoded": lambda text: quote(text, safe=""),
    "form-encoded": quote_plus,
    "JSON": json.dumps,
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Basic": lambda text: base64.b64encode(f":{text}".encode()).decode(),
    "Base64 for URLs": lambda text: base64.urlsafe_b64encode(f"a{text}".encode()).decode(),
    "with NULs": "\0".join,
    "with ANSI": lambda text: f"{text[:3]}\x1b[31m{text[3:]}\x1b[0m",
    "with an ANSI title": lambda text: f"{text[:5]}\x1b]0;title\x07{text[5:]}",
    "with line ends of Unix": lambda text: text.replace("\r\n", "\n"),
}


def secrets_of(plan: Plan) -> dict[str, str]:
    return {"token": plan.token, "credential": PASSWORD, "variable": VARIABLE}


def upload_everywhere(plan: Plan, text: str) -> None:
    log_id = plan.new_log(f"logs\\{text}")
    issue = {"type": "error", "category": text, "message": text, "data": {text: text}}
    task = {"name": text, "version": text, "inputs": {text: text}}
    record = {
        "id": OTHER,
        "issues": [issue],
        "task": task,
        "variables": {text: {"value": text}, "plain": {"value": f"<{text}>"}},
        "agentSpecification": {text: [text, {"deep": text}]},
    }
    names = "type name currentOperation resultCode workerName refName identifier".split()  # noqa: SIM905  # shorter
    statuses = [
        plan.call("POST", f"/logs/{log_id}", f"first\r\n{text}\r\nlast".encode()).status,
        plan.call("POST", plan.feed_path, {"value": ["first", f"<{text}>"]}).status,
        plan.patch({**record, **dict.fromkeys(names, text)}).status,
    ]
    assert statuses == [200, 204, 200]


def stored_texts(plan: Plan) -> str:
    """Return what the store holds, JSON undone, with and without control characters."""
    raw = plan.raw()
    undone = raw.encode().decode("unicode_escape", "replace") if "\\u" in raw else raw
    texts = "\n".join([raw, undone, raw.replace("\\n", "\n").replace("\\r", "\r")])
    return texts + texts.replace("\0", "")


@pytest.mark.parametrize("form", list(FORMS))
@pytest.mark.parametrize("secret", ["token", "credential", "variable"])
def test_a_secret_that_comes_back_is_not_stored(secret: str, form: str, plan: Plan) -> None:
    text = FORMS[form](secrets_of(plan)[secret])

    upload_everywhere(plan, text)

    stored = stored_texts(plan)
    for known in (text, secrets_of(plan)[secret], json.dumps(text)[1:-1]):
        assert known not in stored
    shown = json.dumps([*plan.records().values()]) + plan.call("GET", "/logs/1").body.decode()
    assert "***" in shown
    assert plan.log_text().count("***") >= 2


def test_a_credential_written_in_latin_1_is_not_stored(plan: Plan) -> None:
    log_id = plan.new_log()

    plan.call("POST", f"/logs/{log_id}", f"<{PASSWORD}>".encode("latin-1"))

    assert plan.call("GET", f"/logs/{log_id}").json["value"] == ["<***>"]


def test_a_key_in_the_url_of_the_connection_is_not_stored(plan: Plan) -> None:
    plan.call("POST", plan.feed_path, {"value": [f"GET https://api.example.com/{URL_KEY}/a"]})

    assert plan.log_text().endswith("GET https://api.example.com/***/a")


def test_a_secret_of_several_lines_is_masked_line_by_line(plan: Plan) -> None:
    for line in VARIABLE.split("\r\n"):
        plan.call("POST", plan.feed_path, {"value": [f"<{line}>"]})

    assert plan.log_text().endswith("<***>\n<***>")


def test_a_secret_split_over_the_lines_of_one_feed_is_masked(plan: Plan) -> None:
    plan.call("POST", plan.feed_path, {"value": VARIABLE.split("\r\n")})

    assert plan.log_text() == "Starting: Deploy\n***"


def test_secret_query_parameters_are_masked_wherever_they_stand(plan: Plan) -> None:
    plan.call("POST", plan.feed_path, {"value": ["GET https://x.example.com/?sig=abcdef&a=1"]})

    assert plan.log_text().endswith("?sig=***&a=1")


def test_ids_and_enums_stay_even_where_a_secret_is_equal_to_one(store: EntityStore) -> None:
    plan = make_plan(store, secret_variables=[OTHER, "succeeded", "inProgress"])

    answered = plan.patch(
        {"id": OTHER, "parentId": OTHER, "state": 1, "result": 0, "name": f"of {OTHER}"}
    )

    (record,) = answered.json["value"]
    assert (record["id"], record["parentId"], record["name"]) == (OTHER, OTHER, "of ***")
    assert (record["state"], record["result"]) == ("inProgress", "succeeded")


def test_colours_stay_where_they_hide_nothing(plan: Plan) -> None:
    plan.call("POST", plan.feed_path, {"value": ["\x1b[31mred\x1b[0m"]})

    assert plan.log_text().endswith("\x1b[31mred\x1b[0m")


def test_no_answer_and_no_error_shows_the_token(plan: Plan) -> None:
    token = plan.token
    answers = [
        plan.event(name=token),
        plan.event(result=token),
        plan.event(jobId=token),
        plan.patch({"id": token}),
        plan.patch({"id": OTHER, "state": token}),
        plan.call("POST", "/logs", {"path": token}),
        plan.call("POST", "/events", token.encode()),
        plan.call("POST", plan.feed_path, {"value": {"a": token}}),
        plan.patch({"id": OTHER, "variables": {token: 5}}),
        plan.patch({token: 1}),
        plan.call("POST", "/events", f'{{"{token}": 1, "{token}": 2}}'.encode()),
        plan.call("GET", f"/logs/{token}"),
        plan.call("GET", f"/{token}"),
    ]

    assert all(token.encode() not in answer.body for answer in answers)


def test_a_service_without_secrets_loses_nothing(store: EntityStore) -> None:
    plan = make_plan(store, secret_variables=())

    plan.call("POST", plan.feed_path, {"value": ["as it is", ""]})

    assert plan.log_text() == "Starting: Deploy\nas it is\n"


def test_many_secrets_in_one_patch_are_refused_before_they_cost_anything(plan: Plan) -> None:
    variables = {f"v{n}": {"value": f"secret{n:06}", "isSecret": True} for n in range(20_000)}
    began = process_time()

    answered = plan.patch({"id": OTHER, "variables": variables})

    assert answered.status == 413
    assert process_time() - began < 3


def test_secrets_of_very_many_lines_cost_no_more_than_their_size(plan: Plan) -> None:
    secret = "\n".join(f"line {n:06}" for n in range(2500))
    variables = {f"v{n}": {"value": f"{n:03}{secret}", "isSecret": True} for n in range(100)}
    began = process_time()

    answered = plan.patch({"id": OTHER, "variables": variables})

    assert answered.status == 200
    assert "line 000001" not in plan.raw()
    assert process_time() - began < 10


def test_a_patch_of_very_many_records_is_refused_at_once(plan: Plan) -> None:
    began = process_time()

    answered = plan.call("PATCH", plan.records_path, {"value": [5] * 500_000})

    assert answered.status == 413
    assert len(answered.body) < 2000
    assert process_time() - began < 3


def test_the_user_name_of_basic_may_hold_a_colon(plan: Plan) -> None:
    named = basic(plan.token, user="domain:user")

    answered = plan.call("GET", "/logs", headers={"authorization": named})

    assert answered.status == 200


def test_a_page_of_nothing_but_line_ends_costs_no_more_than_its_size(plan: Plan) -> None:
    number = plan.new_log()
    began = process_time()

    answered = plan.call("POST", f"/logs/{number}", b"\n" * (8 * 1024 * 1024))

    assert answered.status == 200
    assert process_time() - began < 8
