"""Doubled: the target was asked for more than somebody asked for, or an end came twice."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.chaos.ledger import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.chaos.ledger import Fault, Kept, Ledger, Received

SLACK_S = 3.0
"""A request may be on its way when its task ends; it is no longer on its way than this."""

STOPPED = "SIGSTOP"
_UNSAFE = frozenset({"POST", "PATCH"})


def doubled(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    """Yield everything that is doubled.

    Args:
        ledger: What was told and received.
        kept: What is stored, by id.
    """
    yield from _keys(ledger)
    yield from _requests(ledger, kept)
    yield from _after_the_end(ledger)
    for plan, one in kept.items():
        if (count := one.log.count("Finished: ")) > 1:
            yield Hit("doubled", "two ends in the log", plan, f"{count} lines 'Finished: '")


def _keys(ledger: Ledger) -> Iterator[Hit]:
    plans: dict[str, set[str]] = defaultdict(set)
    for told in ledger.told:
        item = ledger.items.get(told.item)
        if item is not None and item.has_key and told.plan:
            plans[item.name].add(told.plan)
    for name, found in plans.items():
        if len(found) > 1:
            yield Hit("doubled", "one key, two invocations", name, ", ".join(sorted(found)))


def _requests(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    by_item: dict[str, list[Received]] = defaultdict(list)
    by_plan: dict[str, list[Received]] = defaultdict(list)
    for received in ledger.received:
        # The requests that ask for the status of an operation may be repeated.
        if received.path == "/":
            by_item[received.item].append(received)
            by_plan[received.plan].append(received)
    for name, requests in by_item.items():
        item = ledger.items.get(name)
        # A task without a key that is repeated has another name; what asks again does so.
        if item is None or item.kind == "gate":
            continue
        ordered = sorted(requests, key=lambda one: one.at)
        is_taken_over = item.kind == "background" and item.method not in _UNSAFE
        may_ask_again = item.retries > 0 or is_taken_over
        if len(ordered) > 1 and not may_ask_again:
            yield Hit("doubled", f"a {item.kind} sent twice", name, _times(ordered))
        elif item.method in _UNSAFE:
            # All but the last had to be answered before there was another.
            unknown = [one for one in ordered[:-1] if one.answered is None]
            if unknown:
                what = f"{item.method} sent again though its effect was unknown"
                yield Hit("doubled", what, name, _times(ordered))
    for plan, requests in by_plan.items():
        one = kept.get(plan)
        if one is not None and one.is_ended and len(requests) > one.attempts:
            evidence = f"{one.attempts} attempts, {_times(requests)}"
            yield Hit("doubled", "more requests than are written down", plan, evidence)


def _after_the_end(ledger: Ledger) -> Iterator[Hit]:
    ended_at: dict[str, float] = {}
    for told in ledger.told:
        if told.state == "completed" and told.is_stored:
            ended_at[told.plan] = min(told.at, ended_at.get(told.plan, told.at))
    for event in ledger.reported:
        if event.status == 204:
            ended_at[event.plan] = min(event.at, ended_at.get(event.plan, event.at))
    for received in ledger.received:
        since_s = received.at - ended_at.get(received.plan, received.at)
        stood_s = _stood_s(ledger.faults, received.at - since_s - SLACK_S, received.at)
        if since_s > SLACK_S + stood_s:
            evidence = f"{received.behaviour}, {since_s:.2f} s after somebody was told its end"
            yield Hit("doubled", "sent after its end was told", received.plan, evidence)


def _stood_s(faults: list[Fault], since: float, until: float) -> float:
    """Return for how long processes stood still within a time.

    One that is stopped between its last look at the store and its request sends it when it goes
    on: nobody can prevent that (docs/faults.md).
    """
    stops = [one for one in faults if one.kind == STOPPED]
    return sum(max(0.0, min(one.ended_at, until) - max(one.begun_at, since)) for one in stops)


def _times(requests: list[Received]) -> str:
    told = (f"{one.method} at {one.at:.2f} ({one.behaviour}, {one.answered})" for one in requests)
    return ", ".join(told)
