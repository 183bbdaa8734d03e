"""What a run came to: the figures, the hits, and whether enough happened."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.contradictory import contradictory
from tests.chaos.doubled import STOPPED, doubled
from tests.chaos.faults import KILLED
from tests.chaos.lost import lost

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.chaos.ledger import Hit, Kept, Ledger

WORDS = ("lost", "doubled", "contradictory")
_MOST_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One store, and what was found there.

    Attributes:
        store: sqlite or azurite.
        seconds: How long there was load.
        seed: What names the run.
        ledger: What was told.
        kept: What is stored.
        hits: The promises that were not kept.
    """

    store: str
    seconds: float
    seed: str
    ledger: Ledger
    kept: Mapping[str, Kept]
    hits: Sequence[Hit]

    @property
    def missing(self) -> list[str]:
        """What there was too little of for the run to show anything."""
        faults = Counter(one.kind for one in self.ledger.faults)
        counts = {
            "kills": faults[KILLED],
            "stops": faults[STOPPED],
            "faults of the store": faults.total() - faults[KILLED] - faults[STOPPED],
            "faults of the target": len(self.ledger.targets),
            "invocations accepted": len(self._accepted()),
            "completions acknowledged": self._acknowledged(),
            "uploads acknowledged": sum(one.status in {200, 204} for one in self.ledger.added),
            "requests that reached the target": len(self.ledger.received),
        }
        return [name for name, number in counts.items() if number == 0]

    @property
    def is_good(self) -> bool:
        """Whether every promise was kept, and enough happened."""
        return not self.hits and not self.missing

    def lines(self) -> Iterator[str]:
        """Yield the report."""
        ledger = self.ledger
        yield f"{self.store}: {self.seconds:.0f} s under load, seed {self.seed}"
        yield f"  faults: {_counted(one.kind for one in ledger.faults)}"
        yield f"  faults of the target: {_counted(ledger.targets)}"
        yield f"  requests: {_counted(f'{one.how} {one.status}' for one in ledger.told)}"
        yield f"  events: {_counted(f'{one.result} {one.status}' for one in ledger.reported)}"
        yield f"  uploads: {_counted(f'{one.kind} {one.status}' for one in ledger.added)}"
        yield f"  reached the target: {len(ledger.received)}"
        yield f"  invocations accepted: {len(self._accepted())}"
        yield f"  completions acknowledged: {self._acknowledged()}"
        yield f"  ended: {self._ended()}"
        yield f"  told as not stored: {sum(not one.is_stored for one in ledger.told)}"
        words = Counter(hit.word for hit in self.hits)
        yield f"  {', '.join(f'{word} {words[word]}' for word in WORDS)}"
        for hit in self.hits[:_MOST_SHOWN]:
            yield f"  {hit}"
        if self.missing:
            yield f"  too little happened: no {', no '.join(self.missing)}"

    def _accepted(self) -> set[str]:
        creates = (one for one in self.ledger.told if one.how == "create")
        return {one.plan for one in creates if one.status in {200, 202, 424}}

    def _acknowledged(self) -> int:
        return len({one.plan for one in self.ledger.reported if one.status == 204})

    def _ended(self) -> str:
        items = self.ledger.item_of()
        return _counted(
            f"{items[plan].kind} {one.code or one.result or one.state}"
            for plan, one in self.kept.items()
            if plan in items and one.state
        )


def compare(ledger: Ledger, kept: Mapping[str, Kept], *, is_settled: bool) -> list[Hit]:
    """Return every promise that was not kept.

    Args:
        ledger: What clients were told, and what the target received.
        kept: What is stored of every invocation in it.
        is_settled: As in ``lost``.
    """
    return [
        *lost(ledger, kept, is_settled=is_settled),
        *doubled(ledger, kept),
        *contradictory(ledger, kept),
    ]


def _counted(names: Iterable[str]) -> str:
    counts = sorted(Counter(names).items())
    return ", ".join(f"{name} {number}" for name, number in counts) or "none"
