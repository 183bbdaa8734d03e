"""Lists of invocations, and what time makes of them: repaired indexes, and forgetting.

Source: HTTP contract, section 5 (``GET /api/invocations``) and section 9 (``RETENTION_DAYS``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from invoke_core.encoding import optional_time_form, time_form
from invoke_core.errors import InvocationNotFoundError
from invoke_core.events import Seen
from invoke_core.model import State

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from invoke_core.journal import Journal, Summary
    from invoke_core.ports import Clock
    from invoke_core.transitions import Transitions

_ORPHAN_AGE: Final = timedelta(minutes=5)
"""An index row is written before its invocation, so a young one may be ahead of it."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of invocations.

    Attributes:
        items: What the contract shows of each, newest first.
        after: Where the next page begins; None where this is the last one.
    """

    items: list[dict[str, Any]]
    after: tuple[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Reads the indexes.

    Attributes:
        journal: Has them.
        transitions: Lets time happen to what they show as open.
        keep: How long ended invocations are kept.
        now: The clock.
    """

    journal: Journal
    transitions: Transitions
    keep: timedelta
    now: Clock

    def page(self, *, state: State | None, after: tuple[str, str] | None, most: int) -> Page:
        """Return invocations, newest first.

        Args:
            state: Only those in this state; None for all.
            after: Where an earlier page ended.
            most: How many at most; a page may hold fewer, and still not be the last.

        Raises:
            StoreUnavailableError: The store did not answer.
        """
        open_only = state is not None and state is not State.COMPLETED
        rows = self.journal.page(open_only=open_only, after=after, most=most)
        forms = [self._form(row) for row in rows]
        items = [form for form in forms if form and (state is None or form["state"] == state)]
        last = (rows[-1].partition_key, rows[-1].row_key) if len(rows) == most else None
        return Page(items=items, after=last)

    def forget(self, *, until: datetime) -> int:
        """Remove invocations that ended long ago.

        Args:
            until: When to stop, whatever is left; the next run goes on.

        Returns:
            How many were removed.

        Raises:
            StoreUnavailableError: The store did not answer; the next run goes on.
        """
        forgotten = 0
        horizon = self.now() - self.keep
        # Nobody may ever have asked for the open ones, which is what mends their index.
        for row in self._old(horizon, open_only=True):
            if self.now() >= until:
                return forgotten
            self._form(row)
        for row in self._old(horizon, open_only=False):
            if self.now() >= until:
                return forgotten
            forgotten += self._forget_one(row, horizon)
        return forgotten

    def _old(self, horizon: datetime, *, open_only: bool) -> Iterator[Summary]:
        after: tuple[str, str] | None = None
        while rows := self.journal.old(open_only=open_only, created_before=horizon, after=after):
            yield from rows
            after = (rows[-1].partition_key, rows[-1].row_key)

    def _forget_one(self, row: Summary, horizon: datetime) -> bool:
        try:
            record = self.transitions.apply(str(row.form["id"]), Seen()).record
        except InvocationNotFoundError:
            self.journal.forget(row, "")
            return True
        finished_at = record.invocation.finished_at
        if finished_at is None or finished_at >= horizon:
            return False
        self.journal.forget(row, record.claim)
        return True

    def _form(self, row: Summary) -> dict[str, Any] | None:
        """Return what is shown of an index row; the record is asked where the row may be late."""
        if not row.is_open:
            return row.form
        try:
            record = self.transitions.apply(str(row.form["id"]), Seen()).record
        except InvocationNotFoundError:
            self._drop_orphan(row)
            return None
        invocation = record.invocation
        if time_form(invocation.created_at) != row.form["createdAt"]:
            # Written by a process that died before it could begin what another began later.
            self._drop_orphan(row)
            return None
        if record.is_final:
            self.journal.close_index(record)
        return {
            **row.form,
            "state": invocation.state.value,
            "result": invocation.result.value if invocation.result else None,
            "finishedAt": optional_time_form(invocation.finished_at),
        }

    def _drop_orphan(self, row: Summary) -> None:
        if row.created_at + _ORPHAN_AGE < self.now():
            self.journal.drop(row)
            _log.info("dropped an index row without its invocation")
