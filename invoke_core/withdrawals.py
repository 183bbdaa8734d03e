"""Takes back what was perhaps stored of a call that was refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from invoke_core.errors import EntityConflictError, StoreUnavailableError
from invoke_core.events import Withdrawn

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.journal import Journal
    from invoke_core.records import Record
    from invoke_core.transitions import Transitions

DELAYS_S: Final = (1, 4, 10, 20, 40, 80)
"""When it is tried, each time so long after the time before."""


@dataclass(frozen=True, slots=True)
class Withdrawals:
    """Withdraws invocations that were never sent.

    A store that stops answering while an invocation is written down leaves it open whether that
    took place. The caller is told that nothing was sent, and may call again with the same key; a
    record left behind would have that call wait for a request nobody sends. Where such a call came
    first and was told of the record, it cannot go any more; it ends, and tells that nothing was
    sent.

    Attributes:
        journal: Where the record may be.
        transitions: End one that has to stay.
        sleep: Waits for some seconds.
        run_later: Runs something beside the call.
    """

    journal: Journal
    transitions: Transitions
    sleep: Callable[[float], None]
    run_later: Callable[[Callable[[], None]], None]

    def later(self, record: Record) -> None:
        """Withdraw an invocation as soon as the store answers again.

        It is the best this process can do: should it end first, the invocation stays, and ends by
        itself as one whose process is gone.
        """
        self.run_later(lambda: self._withdraw(record))

    def _withdraw(self, record: Record) -> None:
        for delay_s in DELAYS_S:
            self.sleep(delay_s)
            try:
                if not self.journal.withdraw(record):
                    self.transitions.apply(record.invocation.id, Withdrawn())
            except (StoreUnavailableError, EntityConflictError):
                continue
            return
