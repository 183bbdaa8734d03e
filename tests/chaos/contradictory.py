"""Contradictory: two clients were told two things, or one something that is not so."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tests.chaos.ledger import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.chaos.ledger import Added, Kept, Ledger, Reported, Told

PROBLEM = "application/problem+json"
_JSON = "application/json"
_SOONEST_LOST_S = 10.0
"""No process may be taken for lost sooner, by any clock."""

_OUTCOMES = frozenset({200, 202, 424})


def contradictory(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    """Yield everything that is contradictory.

    Args:
        ledger: What was told and received.
        kept: What is stored, by id.
    """
    yield from _results(ledger, kept)
    yield from _events(ledger, kept)
    yield from _going_back(ledger)
    yield from _failures_after_the_send(ledger)
    for told in ledger.told:
        if told.status is not None and told.status >= 400 and told.status != 424:
            yield from _refusal(told, told.item or told.plan, PROBLEM)
    services: list[Reported | Added] = [*ledger.reported, *ledger.added]
    for answer in services:
        if answer.status == 401:
            yield Hit("contradictory", "a right token refused", answer.plan, "401")
        elif answer.status is not None and answer.status >= 400:
            yield from _refusal(answer, answer.plan, _JSON)


def _results(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    told_of: dict[str, dict[str, Told]] = defaultdict(dict)
    for told in ledger.told:
        if told.state == "completed" and told.is_stored and told.plan:
            told_of[told.plan].setdefault(told.result, told)
    for plan, results in told_of.items():
        evidence = ", ".join(
            f"{result} ({one.code}) by {one.how} at {one.at:.2f}" for result, one in results.items()
        )
        one = kept[plan]
        if len(results) > 1:
            yield Hit("contradictory", "two clients were told two results", plan, evidence)
        elif one.status in _OUTCOMES and {one.result} != set(results):
            stored = f"stored: {one.result or one.state}"
            yield Hit("contradictory", "told is not stored", plan, f"{evidence}, {stored}")


def _events(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    acknowledged: dict[str, set[str]] = defaultdict(set)
    for event in ledger.reported:
        if event.status == 204:
            acknowledged[event.plan].add(event.result)
        elif event.status == 409 and not kept[event.plan].is_ended:
            evidence = f"409 at {event.at:.2f}, stored: {kept[event.plan].state}"
            yield Hit("contradictory", "refused by an end that is none", event.plan, evidence)
    for plan, results in acknowledged.items():
        one = kept[plan]
        if len(results) > 1:
            evidence = ", ".join(sorted(results))
            yield Hit("contradictory", "two results were acknowledged", plan, evidence)
        elif one.is_ended and {one.result} != results:
            evidence = f"{', '.join(results)} acknowledged, {one.result} ({one.code}) stored"
            yield Hit("contradictory", "acknowledged is not stored", plan, evidence)


def _going_back(ledger: Ledger) -> Iterator[Hit]:
    ended: dict[str, Told] = {}
    for told in ledger.told:
        if told.state == "completed" and told.is_stored:
            first = ended.get(told.plan)
            ended[told.plan] = told if first is None or told.at < first.at else first
    for told in ledger.told:
        end = ended.get(told.plan)
        if end is not None and told.state not in {"", "completed"} and told.asked_at > end.at:
            evidence = f"{end.result} at {end.at:.2f}, {told.state} asked at {told.asked_at:.2f}"
            yield Hit("contradictory", "told its end, then told it goes on", told.plan, evidence)


_BY_ITSELF: Final = frozenset({"timedOut", "connectionFailed", "interrupted"})
"""Failures that a whole answer of the target does not rule out: it may never have arrived."""


def _failures_after_the_send(ledger: Ledger) -> Iterator[Hit]:
    sent = {one.trace for one in ledger.received} - {""}
    succeeded = {one.trace for one in ledger.received if one.answered == 200} - {""}
    for told in ledger.told:
        name = told.plan or told.item
        evidence = f"{told.status} {told.code} at {told.at:.2f} by instance {told.server}"
        if told.status == 503 and told.trace in sent:
            what = "told that nothing was sent, and the target received it"
            yield Hit("contradictory", what, name, evidence)
        item = ledger.items.get(told.item)
        if item is None or item.kind not in {"plain", "callback", "background"}:
            continue
        if told.result == "failed" and told.response == 200 and told.code == "statusCode":
            yield Hit("contradictory", "a success told as a failure", name, evidence)
        if told.result == "failed" and not told.is_stored and told.response == 200:
            yield Hit("contradictory", "a success told as a failure", name, evidence)
        is_early = told.at - told.asked_at < _SOONEST_LOST_S
        if told.code == "interrupted" and told.trace in succeeded and is_early:
            yield Hit("contradictory", "a success told as interrupted", name, evidence)
        # By what the target itself knows, whatever the answer says: it may have lost the response.
        is_failure = told.result == "failed" and told.code not in _BY_ITSELF
        if is_failure and told.response != 200 and told.trace in succeeded and is_early:
            yield Hit("contradictory", "a success of the target told as a failure", name, evidence)


def _refusal(answer: Told | Reported | Added, name: str, media_type: str) -> Iterator[Hit]:
    evidence = f"{answer.status} {answer.code} {answer.media_type}"
    if answer.media_type != media_type:
        yield Hit("contradictory", "a refusal that is no problem document", name, evidence)
    if answer.status == 500:
        yield Hit("contradictory", "something nobody foresaw", name, evidence)
    if answer.status == 503 and not answer.retry_after.isdigit():
        yield Hit("contradictory", "503 without Retry-After", name, evidence)
