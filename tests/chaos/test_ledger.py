"""The comparison finds what is planted, and nothing where all is well."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.chaos.ledger import Added, Fault, Item, Kept, Ledger, Received, Reported, Told
from tests.chaos.report import Report, compare

if TYPE_CHECKING:
    from collections.abc import Callable

PROBLEM = "application/problem+json"


def story() -> tuple[Ledger, dict[str, Kept]]:
    """Return a ledger and a store that agree."""
    ledger = Ledger()
    for name, kind, retries in (("cb", "callback", 0), ("re", "retries", 2), ("pl", "plain", 0)):
        ledger.items[name] = Item(
            name=name, kind=kind, method="POST", has_key=kind != "plain", retries=retries
        )
    ledger.told += [
        told("p1", at=1, item="cb", status=202, state="inProgress", trace="t1"),
        told("p2", at=2, item="re", status=200, result="succeeded", trace="t2", response=200),
        told("p3", at=3, item="pl", status=200, result="succeeded", trace="t3", response=200),
        told("p1", at=9, how="read", status=200, result="succeeded"),
    ]
    ledger.received += [
        received("p1", "cb", at=0.5, trace="t1", answered=200),
        received("p2", "re", at=1.0, trace="t2", answered=500),
        received("p2", "re", at=1.5, trace="t2", answered=200),
        received("p3", "pl", at=2.5, trace="t3", answered=200),
    ]
    ledger.reported.append(Reported(asked_at=4, at=5, plan="p1", result="succeeded", status=204))
    ledger.added += [
        Added(plan="p1", kind=kind, mark=f"mark-{kind}", status=200)
        for kind in ("line", "page", "record")
    ]
    ended = Kept(status=200, state="completed", result="succeeded", attempts=1)
    kept = {
        "p1": replace(
            ended,
            log="mark-line\nFinished: succeeded\n",
            pages="mark-page",
            records=frozenset({"mark-record"}),
        ),
        "p2": replace(ended, attempts=2),
        "p3": ended,
    }
    return ledger, kept


def told(plan: str, *, at: float, how: str = "create", result: str = "", **known: Any) -> Told:  # noqa: ANN401  # any member
    given: dict[str, Any] = {"state": "completed"} if result else {}
    return Told(
        **{"asked_at": at - 0.5, "at": at, "how": how, "server": 1, "plan": plan, **given, **known},
        result=result,
    )


def received(plan: str, item: str, *, at: float, trace: str = "", **known: Any) -> Received:  # noqa: ANN401  # likewise
    given = {"method": "POST", "path": "/", "behaviour": "ok", **known}
    return Received(at=at, item=item, plan=plan, trace=trace, **given)


def found(ledger: Ledger, kept: dict[str, Kept], *, is_settled: bool = True) -> list[str]:
    return [f"{hit.word}: {hit.what}" for hit in compare(ledger, kept, is_settled=is_settled)]


def test_nothing_is_found_where_what_was_told_is_stored() -> None:
    assert found(*story()) == []


def kept_as(plan: str, **members: Any) -> Callable[[Ledger, dict[str, Kept]], None]:  # noqa: ANN401  # any member
    def plant(_: Ledger, kept: dict[str, Kept]) -> None:
        kept[plan] = replace(kept[plan], **members)

    return plant


def also_told(plan: str, **members: Any) -> Callable[[Ledger, dict[str, Kept]], None]:  # noqa: ANN401  # any member
    return lambda ledger, _: ledger.told.append(told(plan, **members))


def also_received(plan: str, item: str, *, at: float) -> Callable[[Ledger, dict[str, Kept]], None]:
    again = received(plan, item, at=at, answered=200)
    return lambda ledger, _: ledger.received.append(again)


def also_reported(result: str, status: int) -> Callable[[Ledger, dict[str, Kept]], None]:
    event = Reported(asked_at=5, at=6, plan="p1", result=result, status=status)
    given = replace(event, media_type="application/json", retry_after="5")
    return lambda ledger, _: ledger.reported.append(given)


@pytest.mark.parametrize(
    ("plant", "what"),
    [
        (kept_as("p3", status=404), "lost: told and not there"),
        (kept_as("p3", is_listed=False), "lost: told and not listed"),
        (
            also_told("p3", at=9, how="read", status=404, media_type=PROBLEM),
            "lost: told before, then not there",
        ),
        (kept_as("p1", status=404), "lost: sent and not stored before"),
        (kept_as("p1", state="inProgress"), "lost: acknowledged event"),
        (kept_as("p1", log=""), "lost: acknowledged line"),
        (kept_as("p1", pages=""), "lost: acknowledged page"),
        (kept_as("p1", records=frozenset()), "lost: acknowledged record"),
        (
            kept_as("p2", state="inProgress", overdue_s=16.0),
            "lost: its time is over and it has not ended",
        ),
        (kept_as("p2", state="inProgress"), "lost: forgotten: nobody goes on with it"),
        (
            also_told("p4", at=3, item="cb", status=200, result="succeeded"),
            "doubled: one key, two invocations",
        ),
        (
            also_received("p1", "cb", at=0.7),
            "doubled: a callback sent twice",
        ),
        (
            lambda ledger, _: setattr(ledger.received[1], "answered", None),
            "doubled: POST sent again though its effect was unknown",
        ),
        (kept_as("p2", attempts=1), "doubled: more requests than are written down"),
        (
            kept_as("p1", log="mark-line\nFinished: succeeded\nFinished: failed\n"),
            "doubled: two ends in the log",
        ),
        (
            also_received("p2", "re", at=7.0),
            "doubled: sent after its end was told",
        ),
        (
            also_told("p3", at=9, how="read", status=424, result="failed"),
            "contradictory: two clients were told two results",
        ),
        (kept_as("p3", result="failed"), "contradictory: told is not stored"),
        (
            also_told("p3", at=9, how="read", status=202, state="inProgress"),
            "contradictory: told its end, then told it goes on",
        ),
        (also_reported("failed", 204), "contradictory: two results were acknowledged"),
        (kept_as("p1", result="failed"), "contradictory: acknowledged is not stored"),
        (
            lambda ledger, kept: [
                also_reported("failed", 409)(ledger, kept),
                kept_as("p1", state="inProgress")(ledger, kept),
            ],
            "contradictory: refused by an end that is none",
        ),
        (also_reported("failed", 401), "contradictory: a right token refused"),
        (
            also_told("", at=4, item="pl", status=503, trace="t3", media_type=PROBLEM),
            "contradictory: told that nothing was sent, and the target received it",
        ),
        (
            also_told(
                "p3", at=4, item="pl", status=424, result="failed", response=200, is_stored=False
            ),
            "contradictory: a success told as a failure",
        ),
        (
            also_told(
                "p3", at=4, item="pl", status=424, result="failed", code="statusCode", trace="t3"
            ),
            "contradictory: a success of the target told as a failure",
        ),
        (
            also_told(
                "p3",
                at=4,
                item="pl",
                status=424,
                result="failed",
                code="interrupted",
                trace="t3",
            ),
            "contradictory: a success told as interrupted",
        ),
        (
            also_told("", at=4, item="pl", status=502, media_type="text/html"),
            "contradictory: a refusal that is no problem document",
        ),
        (
            also_told("", at=4, item="pl", status=500, media_type=PROBLEM),
            "contradictory: something nobody foresaw",
        ),
        (
            also_told("", at=4, item="pl", status=503, media_type=PROBLEM),
            "contradictory: 503 without Retry-After",
        ),
    ],
)
def test_what_is_planted_is_found(
    plant: Callable[[Ledger, dict[str, Kept]], object], what: str
) -> None:
    ledger, kept = story()
    plant(ledger, kept)
    for plan in ledger.plans() - kept.keys():
        kept[plan] = kept["p3"]

    assert what in found(ledger, kept)


def test_what_goes_on_by_itself_is_waited_for_before_it_counts_as_forgotten() -> None:
    ledger, kept = story()
    kept_as("p2", state="inProgress")(ledger, kept)
    # It was told as ended, so that much is found in any case.
    assert "lost: forgotten: nobody goes on with it" not in found(ledger, kept, is_settled=False)


def test_a_process_that_stood_still_may_send_when_it_goes_on() -> None:
    ledger, kept = story()
    also_received("p2", "re", at=7.0)(ledger, kept)
    kept_as("p2", attempts=3)(ledger, kept)
    ledger.faults.append(Fault(kind="SIGSTOP", begun_at=1.0, ended_at=7.0))

    assert found(ledger, kept) == []


def test_an_outcome_told_as_not_stored_need_not_be_stored() -> None:
    ledger, kept = story()
    ledger.told[2] = replace(ledger.told[2], is_stored=False)
    kept_as("p3", status=404)(ledger, kept)

    assert found(ledger, kept) == []


def test_a_run_in_which_nothing_happened_is_no_good_one() -> None:
    report = Report(store="sqlite", seconds=1, seed="", ledger=Ledger(), kept={}, hits=[])

    assert not report.is_good
    assert "kills" in report.missing
    assert any("too little happened" in line for line in report.lines())
