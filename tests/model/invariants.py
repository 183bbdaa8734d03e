"""What holds whatever happens; ``docs/architecture.md`` states each of these by its name."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hypothesis.stateful import RuleBasedStateMachine, invariant

from invoke_core.journal import Journal
from invoke_core.model import Effect
from invoke_core.records import (
    CALLBACKS_AFTER_END,
    CLOCK_DIFFERENCE,
    DEADLINE_GRACE,
    Ending,
    alarm_at,
)
from tests.model.ledger import end_in
from tests.state.parts import log_of

if TYPE_CHECKING:
    from invoke_core.records import Record
    from tests.model.ledger import End, Ledger, Request, Told
    from tests.model.world import World

_KNOWN = (Effect.NONE, Effect.ANSWERED)
_NEVER = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)
_LATEST = timedelta(seconds=120)
"""How much later than it should an alarm may come that was put off: busy, or ahead of its record,
by a clock that differs by half a minute."""


class Invariants(RuleBasedStateMachine):
    """The invariants of the model, checked after each step and when everything is over.

    Attributes:
        world: What the model plays with; None before it begins.
        is_over: Whether all alarms have rung, and the time of every task is over.
    """

    world: World | None = None
    is_over = False

    @property
    def ledger(self) -> Ledger:
        """The notes of what was stored, sent and told."""
        assert self.world is not None
        return self.world.ledger

    def ended_at(self, plan_id: str) -> int | None:
        """Return the moment the end of a plan was stored; None before."""
        for moment, record in self.ledger.states.get(plan_id, []):
            if record is not None and record.is_final:
                return moment
        return None

    @invariant()
    def one_end(self) -> None:
        if self.world is None:
            return
        for plan_id, states in self.ledger.states.items():
            ends = [_end(record) if record else None for _, record in states]
            first = next((number for number, end in enumerate(ends) if end), len(ends))
            assert len(set(ends[first:])) <= 1, f"{plan_id} had several ends: {ends[first:]}"
            if first < len(ends) and states[-1][1] is not None:
                journal = Journal(self.world.store, new_id=str)
                lines = [line for line in log_of(journal, plan_id) if " Finished: " in line]
                assert len(lines) == 1, f"the log of {plan_id} tells of {lines}"

    @invariant()
    def nobody_was_told_two(self) -> None:
        if self.world is None:
            return
        first: dict[str, End] = {}
        for told in self.ledger.told:
            if not told.is_stored:
                continue
            if told.end is not None:
                end = first.setdefault(told.plan_id, told.end)
                assert end == told.end, f"{told} after {end}"
                continue
            ended_at = self.ended_at(told.plan_id)
            assert ended_at is None or told.call.begun < ended_at, f"{told} was open after its end"
            record = self._record_told(told)
            over = record.invocation.deadline
            if not record.waits_for_callback:
                over += DEADLINE_GRACE
            assert told.call.clock < over, f"{told} was open after its time"

    @invariant()
    def told_means_stored(self) -> None:
        if self.world is None:
            return
        for told in self.ledger.told:
            if not told.is_stored:
                continue
            record = self.ledger.record(told.plan_id)
            assert record is not None, f"{told} is not there"
            assert told.end in (None, end_in(record.invocation)), f"{told} is not stored"
        for plan_id, result in self.ledger.acknowledged:
            record = self.ledger.record(plan_id)
            assert record is not None
            assert (record.ended_by, record.reported) == (Ending.EVENT, result)
        for request in self.ledger.requests:
            if request.token:
                assert self.ledger.record(request.plan_id) is not None, f"{request} is not stored"
        for call, plan_id in self.ledger.missed:
            known = [one.at for one in self.ledger.told if one.plan_id == plan_id and one.is_stored]
            assert not known or call.begun < min(known), f"{plan_id} was not found by {call}"
        assert not self.ledger.unexpected, self.ledger.unexpected

    @invariant()
    def a_refusal_sent_nothing(self) -> None:
        if self.world is None:
            return
        senders = {request.actor for request in self.ledger.requests}
        for call, actor in self.ledger.refused:
            assert actor not in senders, f"{call} was refused, though its request was sent"

    @invariant()
    def no_send_after_the_end(self) -> None:
        if self.world is None:
            return
        for request in self.ledger.requests:
            ended_at = self.ended_at(request.plan_id)
            if ended_at is None or request.at < ended_at:
                continue
            assert request.claimed_at is not None, f"{request} began after the end, without a claim"
            assert request.claimed_at < ended_at, f"{request} was claimed after the end"

    @invariant()
    def one_request_for_a_claim(self) -> None:
        if self.world is None:
            return
        claims: Counter[tuple[str, int | None]] = Counter()
        for request in self.ledger.requests:
            claim = request.claimed_at
            claimed = None
            if claim is None:
                stored = self.ledger.record_at(request.plan_id, request.at)
                assert stored is None, f"{request} began without a claim"
            else:
                claimed = self.ledger.record_at(request.plan_id, claim)
                assert claimed is not None
                assert claimed.report_by is not None, f"{request} began without a claim"
                in_time = claimed.waits_for_callback or request.clock < claimed.report_by
                assert in_time, f"{request} began after its lease"
            claims[request.plan_id, claim] += 1
        assert max(claims.values(), default=1) == 1, f"one claim led to several requests: {claims}"

        asked = {request.at: request for request in self.ledger.requests}
        for plan_id, states in self.ledger.states.items():
            before: Record | None = None
            for _, record in states:
                answered = asked.get(_answered(record))
                if answered is None or answered.claimed_at is None or before is None:
                    pass
                elif _answered(before) != answered.at:
                    run = _run(self.ledger.record_at(plan_id, answered.claimed_at))
                    assert _run(before) == run, f"{answered} counts for another run"
                before = record

    @invariant()
    def no_post_twice_with_unknown_effect(self) -> None:
        if self.world is None:
            return
        before: dict[str, list[Request]] = {}
        for request in self.ledger.requests:
            if not request.may_have_changed:
                continue
            for earlier in before.setdefault(request.plan_id, []):
                if request.sampling is not None:
                    assert request.sampling != earlier.sampling, f"{request} again for a sampling"
                    continue
                assert earlier.is_noted, f"{request} though of {earlier} nothing is known"
                assert earlier.effect in _KNOWN, f"{request} though {earlier} may have changed"
            before[request.plan_id].append(request)

    @invariant()
    def a_key_stands_for_one_plan(self) -> None:
        if self.world is None:
            return
        content: dict[str, str] = {}
        stands: dict[tuple[str, str], datetime] = {}
        for told in self.ledger.told:
            if told.call.key and told.is_stored:
                first = content.setdefault(told.plan_id, told.call.content)
                assert first == told.call.content, f"{told} though it was {first}"
                self._note_key(stands, told.call.key, told.plan_id, told.clock)
        sent: dict[tuple[str, str], datetime] = {}
        for request in self.ledger.requests:
            record = self.ledger.record_at(request.plan_id, request.at)
            if record is not None and record.claim:
                self._note_key(sent, record.claim, request.plan_id, request.clock)

    @invariant()
    def no_alarm_is_missing(self) -> None:
        if self.world is None:
            return
        alarms: dict[str, list[datetime]] = {}
        for _, alarm in self.world.alarms():
            alarms.setdefault(alarm.plan_id, []).append(alarm.at)
        for record in self.ledger.open_plans():
            at = alarm_at(record)
            if at is None or self.ledger.may_lack_its_alarm(record.invocation.id):
                continue
            set_for = min(alarms.get(record.invocation.id, []), default=None)
            latest = max(at, self.world.now + _LATEST)
            assert set_for is not None, f"nobody is called for {record.invocation.id}"
            assert set_for <= latest, f"{record.invocation.id} is looked after too late"

    @invariant()
    def every_task_ends(self) -> None:
        if self.world is None or not self.is_over:
            return
        assert self.ledger.open_plans() == []
        assert self.world.alarms() == []
        for plan_id in self.ledger.known():
            record = self.ledger.record(plan_id)
            assert record is not None
            assert record.is_final, f"{plan_id} is open for ever"

    def _note_key(
        self, plans: dict[tuple[str, str], datetime], key: str, plan_id: str, clock: datetime
    ) -> None:
        """Note who had a plan for that of a key when; of two, one was over for a day by then."""
        for (other_key, other), other_clock in plans.items():
            if other_key == key and other != plan_id:
                # It may be over by another's clock, which is ahead.
                over = self._key_lasts_until(other) <= clock + CLOCK_DIFFERENCE
                over = over or self._key_lasts_until(plan_id) <= other_clock + CLOCK_DIFFERENCE
                assert over, f"the key stands for {other} and {plan_id}"
        plans[key, plan_id] = max(clock, plans.get((key, plan_id), clock))

    def _key_lasts_until(self, plan_id: str) -> datetime:
        record = self.ledger.record(plan_id)
        ended_at = record.invocation.finished_at if record else None
        return _NEVER if ended_at is None else ended_at + CALLBACKS_AFTER_END

    def _record_told(self, told: Told) -> Record:
        record = self.ledger.record(told.plan_id)
        assert record is not None, f"{told} is not there"
        return record


def _end(record: Record) -> tuple[object, ...] | None:
    end = end_in(record.invocation)
    return None if end is None else (*end, record.ended_by, record.reported)


def _answered(record: Record | None) -> int:
    """Return which request the answer in a record is that of; 0 for none."""
    response = record.invocation.response if record else None
    return response.elapsed_ms if response else 0


def _run(record: Record | None) -> str:
    """Return the name of the run in a record."""
    return record.work.holder if record and record.work else ""
