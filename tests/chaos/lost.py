"""Lost: somebody was told that it is there, and it is not.

Each function yields what one promise of docs/faults.md was broken by.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.ledger import Hit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.chaos.ledger import Added, Kept, Ledger

OVERDUE_S = 15.0
"""Clocks are set apart; beyond that, what is over has to read so."""

_AWAY = 404


def lost(ledger: Ledger, kept: Mapping[str, Kept], *, is_settled: bool) -> Iterator[Hit]:
    """Yield everything that is lost.

    Args:
        ledger: What was told.
        kept: What is stored, by id.
        is_settled: Whether so long has passed since the last fault that whatever goes on by itself
            would have gone on.
    """
    yield from _told_and_away(ledger, kept)
    yield from _sent_and_away(ledger, kept)
    yield from _events(ledger, kept)
    for added in ledger.added:
        yield from _addition(added, kept)
    yield from _unending(ledger, kept, is_settled=is_settled)


def _told_and_away(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    first_told: dict[str, float] = {}
    for told in ledger.told:
        if told.plan and told.status in {200, 202, 424} and told.is_stored:
            first_told[told.plan] = min(told.at, first_told.get(told.plan, told.at))
            one = kept[told.plan]
            evidence = f"{told.how} at {told.at:.2f} by instance {told.server}: {told.status}"
            if one.status == _AWAY:
                yield Hit("lost", "told and not there", told.plan, evidence)
            elif not one.is_listed:
                yield Hit("lost", "told and not listed", told.plan, evidence)
    for told in ledger.told:
        if told.status == _AWAY and told.asked_at > first_told.get(told.plan, told.asked_at):
            evidence = f"{told.how} at {told.at:.2f} by instance {told.server}: 404"
            yield Hit("lost", "told before, then not there", told.plan, evidence)


def _sent_and_away(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    for received in ledger.received:
        item = ledger.items.get(received.item)
        if item is None or not item.is_stored_first or not received.plan:
            continue
        if kept[received.plan].status == _AWAY:
            evidence = f"{item.kind} {item.name} reached the target at {received.at:.2f}"
            yield Hit("lost", "sent and not stored before", received.plan, evidence)


def _events(ledger: Ledger, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    for event in ledger.reported:
        one = kept[event.plan]
        if event.status == 204 and not one.is_ended:
            evidence = f"{event.result} acknowledged at {event.at:.2f}, stored: {one.state or 404}"
            yield Hit("lost", "acknowledged event", event.plan, evidence)


def _addition(added: Added, kept: Mapping[str, Kept]) -> Iterator[Hit]:
    if added.status not in {200, 204}:
        return
    one = kept[added.plan]
    places = {"line": one.log, "page": one.pages, "record": one.records}
    if added.mark not in places[added.kind]:
        yield Hit("lost", f"acknowledged {added.kind}", added.plan, added.mark)


def _unending(ledger: Ledger, kept: Mapping[str, Kept], *, is_settled: bool) -> Iterator[Hit]:
    items = ledger.item_of()
    for plan, one in kept.items():
        if one.status == _AWAY or one.is_ended:
            continue
        evidence = f"{one.state}, {one.overdue_s:.0f} s after its deadline"
        if one.overdue_s > OVERDUE_S:
            yield Hit("lost", "its time is over and it has not ended", plan, evidence)
        elif is_settled and plan in items and items[plan].kind != "callback":
            yield Hit("lost", "forgotten: nobody goes on with it", plan, evidence)
