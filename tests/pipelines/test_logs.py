"""Logs and feeds over the wire."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from invoke_core.journal import LogEntry
from invoke_core.plans import MOST_ENTRIES, MOST_LOG_BYTES

if TYPE_CHECKING:
    from tests.pipelines.conftest import Plan


def fill(plan: Plan, *, entries: int = 0, entry_bytes: int = 0, logs: int = 0) -> None:
    """Let the plan count as much as that, without writing it all."""
    loaded = plan.journal.load(plan.correlation.plan_id)
    assert loaded is not None
    head = loaded.head
    plan.journal.append(
        loaded,
        head=replace(
            head,
            entries=max(head.entries, entries),
            entry_bytes=max(head.entry_bytes, entry_bytes),
            logs=max(head.logs, logs),
        ),
    )


def test_a_log_is_made_anew_each_time_and_its_path_echoed(plan: Plan) -> None:
    sent = {"id": 0, "path": "logs\\t", "createdOn": "0001-01-01T00:00:00", "lineCount": 0}

    first, second = (plan.call("POST", "/logs", sent) for _ in range(2))

    assert first.status == 200
    assert first.json == {
        "id": 1,
        "location": None,
        "path": "logs\\t",
        "lineCount": 0,
        "createdOn": "2026-11-24T12:00:00.000Z",
        "lastChangedOn": "2026-11-24T12:00:00.000Z",
    }
    assert second.json == {**first.json, "id": 2}
    assert plan.call("GET", "/logs").json == {"count": 2, "value": [first.json, second.json]}


@pytest.mark.parametrize("body", [[], "x", {"path": []}, {"path": "p" * 1025}])
def test_what_is_no_log_is_refused(body: object, plan: Plan) -> None:
    assert plan.call("POST", "/logs", body).status == 400


@pytest.mark.parametrize("content_type", [None, "application/octet-stream", "text/html", "x"])
def test_a_page_is_text_however_it_is_labelled(content_type: str | None, plan: Plan) -> None:
    log_id = plan.new_log()
    headers = {"content-type": content_type} if content_type else {}
    plan.clock.move(seconds=1)

    answered = plan.call(
        "POST",
        f"/logs/{log_id}",
        b"\xef\xbb\xbfone\r\ntw\xc3\xb6\r\n\xff\xfe\n",
        headers=headers,
    )

    assert answered.status == 200
    assert (answered.json["id"], answered.json["lineCount"]) == (log_id, 3)
    assert answered.json["lastChangedOn"] == "2026-11-24T12:00:01.000Z"
    assert plan.call("GET", f"/logs/{log_id}").json == {
        "count": 3,
        "value": ["one", "twö", "\ufffd\ufffd"],
    }
    assert plan.call("GET", "/logs").json["value"][0] == answered.json


def test_pages_follow_each_other_and_parts_of_a_log_can_be_asked_for(plan: Plan) -> None:
    one, two = plan.new_log(), plan.new_log()
    for page in (b"1\n2\n", b"3\n4"):
        plan.call("POST", f"/logs/{one}", page)
        plan.call("POST", f"/logs/{two}", b"other\n")

    def lines(query: str) -> list[str]:
        answered = plan.call("GET", f"/logs/{one}{query}")
        value: list[str] = answered.json["value"]
        return value

    assert lines("") == ["1", "2", "3", "4"]
    assert lines("?startLine=2&endLine=3") == ["2", "3"]
    assert lines("?STARTLINE=0&endLine=2") == ["1", "2"]
    assert lines("?startLine=9") == []
    assert lines("?endLine=0") == []
    assert plan.call("GET", f"/logs/{one}?startLine=x").status == 400
    assert plan.call("GET", f"/logs/{two}").json["value"] == ["other", "other"]


def test_a_dropped_page_is_accepted_and_told_of_in_the_log(plan: Plan) -> None:
    log_id = plan.new_log()

    answered = plan.call("POST", f"/logs/{log_id}", headers={"transfer-encoding": "chunked"})
    empty = plan.call("POST", f"/logs/{log_id}")

    assert answered.status == empty.status == 200
    assert answered.json["lineCount"] == empty.json["lineCount"] == 1
    (line,) = plan.call("GET", f"/logs/{log_id}").json["value"]
    assert line.startswith("Warning: a page of this log arrived empty.")
    assert line in plan.log_text()


def test_a_log_or_feed_that_was_dropped_is_told_why(plan: Plan) -> None:
    chunked = {"transfer-encoding": "chunked"}

    for method, path in [
        ("POST", "/logs"),
        ("POST", plan.feed_path),
        ("PATCH", plan.records_path),
        ("POST", "/timelines"),
    ]:
        assert plan.call(method, path, headers=chunked).status == 411


def test_a_page_is_at_most_8_mib(plan: Plan) -> None:
    log_id = plan.new_log()
    page = b"0123456789abcde\n" * (2**19)

    whole = plan.call("POST", f"/logs/{log_id}", page)
    longer = plan.call("POST", f"/logs/{log_id}", page + b"x")

    assert (whole.status, whole.json["lineCount"]) == (200, 2**19)
    assert (longer.status, longer.json["code"]) == (413, "planLimit")
    assert plan.call("GET", f"/logs/{log_id}?startLine=524288").json["count"] == 1


@pytest.mark.parametrize(
    ("entries", "entry_bytes"), [(0, MOST_LOG_BYTES - 9), (MOST_ENTRIES, 0)], ids=["bytes", "pages"]
)
def test_a_full_log_takes_no_more_but_the_end_of_the_task(
    entries: int, entry_bytes: int, plan: Plan
) -> None:
    log_id = plan.new_log()
    fill(plan, entries=entries, entry_bytes=entry_bytes)

    page = plan.call("POST", f"/logs/{log_id}", b"0123456789")
    feed = plan.call("POST", plan.feed_path, {"value": ["0123456789"]})
    started = plan.event("TaskStarted")
    completed = plan.event()

    assert (page.status, page.json["code"]) == (413, "planLimit")
    assert "64 MiB" in page.json["message"]
    assert feed.status == 413
    assert (started.status, completed.status) == (204, 204)


def test_a_log_is_filled_to_its_last_byte(plan: Plan) -> None:
    fill(plan, entry_bytes=MOST_LOG_BYTES - 10)

    assert plan.call("POST", plan.feed_path, {"value": ["0123456789"]}).status == 204
    assert plan.call("POST", plan.feed_path, {"value": ["x"]}).status == 413


def test_a_plan_has_a_limit_of_logs(plan: Plan) -> None:
    fill(plan, logs=MOST_ENTRIES)

    assert plan.call("POST", "/logs", {"path": "p"}).status == 413


def test_feed_lines_arrive_in_order_whichever_record_they_name(plan: Plan) -> None:
    ids = plan.correlation
    for number, record in enumerate(
        [ids.job_id, ids.task_instance_id.upper(), "0" * 8 + "-0000" * 3 + "-" + "0" * 12]
    ):
        answered = plan.call(
            "POST",
            f"{plan.records_path}/{record}/feed",
            {"value": [f"{number} a", f"{number} b"], "count": 2, "stepId": ids.job_id},
        )
        assert (answered.status, answered.body) == (204, b"")

    assert plan.log_text() == "Starting: Deploy\n0 a\n0 b\n1 a\n1 b\n2 a\n2 b"


def test_a_feed_without_lines_adds_nothing(plan: Plan) -> None:
    before = plan.raw()

    assert plan.call("POST", plan.feed_path, {"value": [], "count": 0}).status == 204
    assert plan.raw() == before


@pytest.mark.parametrize(
    "body", [[], {}, {"value": "line"}, {"value": [1]}, {"value": [None]}, {"value": [["x"]]}, 5]
)
def test_what_is_no_list_of_lines_is_refused(body: object, plan: Plan) -> None:
    assert plan.call("POST", plan.feed_path, body).status == 400


def test_a_lone_surrogate_is_replaced(plan: Plan) -> None:
    body = b'{"value": ["a\\ud800b"]}'

    assert plan.call("POST", plan.feed_path, body).status == 204
    assert plan.log_text().endswith("a\ufffdb")


def test_feeds_and_pages_side_by_side_lose_nothing(plan: Plan) -> None:
    log_id = plan.new_log()

    def upload(number: int) -> int:
        if number % 2:
            return plan.call("POST", plan.feed_path, {"value": [f"feed {number}"]}).status
        return plan.call("POST", f"/logs/{log_id}", f"page {number}\n".encode()).status

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(upload, range(32)))

    assert sorted(statuses) == [200] * 16 + [204] * 16
    lines = plan.call("GET", f"/logs/{log_id}").json["value"]
    assert sorted(lines) == sorted(f"page {n}" for n in range(0, 32, 2))
    assert plan.call("GET", "/logs").json["value"][0]["lineCount"] == 16
    assert all(f"feed {n}" in plan.log_text() for n in range(1, 32, 2))


def test_logs_made_side_by_side_have_numbers_of_their_own(plan: Plan) -> None:
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: plan.new_log(), range(16)))

    assert sorted(numbers) == list(range(1, 17))


def test_logs_and_feeds_are_taken_after_the_end(plan: Plan) -> None:
    plan.event()

    log_id = plan.new_log()
    page = plan.call("POST", f"/logs/{log_id}", b"late page")
    feed = plan.call("POST", plan.feed_path, {"value": ["late line"]})

    assert (page.status, feed.status) == (200, 204)
    assert plan.log_text().endswith("late page\nlate line")


def test_entries_are_stored_as_the_log_of_the_invocation_reads_them(plan: Plan) -> None:
    log_id = plan.new_log()
    plan.call("POST", f"/logs/{log_id}", b"page")

    assert list(plan.journal.entries(plan.correlation.plan_id, after=1)) == [
        LogEntry(text="page", log_id=log_id, number=2)
    ]
