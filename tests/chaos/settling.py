"""Waits for what goes on by itself, and reads what is stored through a fresh instance."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.chaos.clients import Answer, call
from tests.chaos.ledger import Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.chaos.ledger import Ledger
    from tests.chaos.services import Plan

_READERS = 4
_TIMEOUT_S = 30.0


def await_ends(port: int, ledger: Ledger, *, longest_s: float) -> None:
    """Wait until everything that goes on by itself has ended.

    Args:
        port: Of the fresh instance.
        ledger: Names the invocations; a callback nobody reports on is not waited for.
        longest_s: Seconds after which the rest is left as it is.
    """
    waiting = {plan for plan, item in ledger.item_of().items() if item.kind != "callback"}
    give_up_at = time.monotonic() + longest_s
    while waiting and time.monotonic() < give_up_at:
        with ThreadPoolExecutor(_READERS) as pool:
            ended = pool.map(lambda plan: (plan, _is_over(port, plan)), waiting)
            waiting -= {plan for plan, is_over in ended if is_over}
        time.sleep(0.5)


def _is_over(port: int, plan: str) -> bool:
    return _ask(port, f"/api/invocations/{plan}").status in {200, 404, 424}


def read_all(port: int, ledger: Ledger, plans: Mapping[str, Plan]) -> dict[str, Kept]:
    """Return what is stored of every invocation that somebody knows of.

    Args:
        port: Of the fresh instance.
        ledger: Names the invocations.
        plans: Those that external services can open.
    """
    listed = _listed(port)
    uploaded = {one.plan for one in ledger.added}
    known = ledger.plans() | {one.plan for one in ledger.reported}

    def read(plan: str) -> tuple[str, Kept]:
        opened = plans.get(plan) if plan in uploaded else None
        return plan, _read(port, plan, opened, is_listed=plan in listed)

    with ThreadPoolExecutor(_READERS) as pool:
        return dict(pool.map(read, known))


def _read(port: int, plan: str, opened: Plan | None, *, is_listed: bool) -> Kept:
    answer = _ask(port, f"/api/invocations/{plan}")
    if answer.status not in {200, 202, 424}:
        return Kept(status=answer.status or 0)
    form = answer.document
    deadline = datetime.fromisoformat(form["deadline"]) if form["deadline"] else None
    now = datetime.now(UTC)
    pages, records = _uploads(port, opened) if opened else ("", frozenset[str]())
    return Kept(
        status=answer.status or 0,
        state=form["state"],
        result=form["result"] or "",
        code=(form["reason"] or {}).get("code", ""),
        attempts=form["attempts"],
        overdue_s=(now - deadline).total_seconds() if deadline else -1.0,
        log=_ask(port, f"/api/invocations/{plan}/log").body.decode(),
        pages=pages,
        records=records,
        is_listed=is_listed,
    )


def _uploads(port: int, opened: Plan) -> tuple[str, frozenset[str]]:
    lines: list[str] = []
    for log in _values(opened.call(port, "GET", "logs")):
        lines += _values(opened.call(port, "GET", f"logs/{log['id']}"))
    records = _values(opened.call(port, "GET", opened.timeline("")))
    return "\n".join(lines), frozenset(record["name"] for record in records)


def _values(answer: Answer) -> Iterable[Any]:
    values: Iterable[Any] = answer.document.get("value", []) if answer.status == 200 else []
    return values


def _listed(port: int) -> set[str]:
    found: set[str] = set()
    token: str | None = ""
    while token is not None:
        page = _ask(port, f"/api/invocations?top=200&continuationToken={token}").document
        found |= {one["id"] for one in page["value"]}
        token = page["continuationToken"]
    return found


def _ask(port: int, path: str) -> Answer:
    """Ask until there is an answer: nothing is at fault any more."""
    for _ in range(5):
        answer = call(port, "GET", path, timeout_s=_TIMEOUT_S)
        if answer.status not in {None, 503}:
            return answer
        time.sleep(1)
    return call(port, "GET", path, timeout_s=_TIMEOUT_S)
