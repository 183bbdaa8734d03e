"""Idempotency keys: one key, caller, connection and content make one invocation.

Source: HTTP contract, section 2 (``Idempotency-Key``).
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from invoke_core.errors import (
    EntityConflictError,
    IdempotencyConflictError,
    InvocationNotFoundError,
)
from invoke_core.events import Replayed, Seen
from invoke_core.journal import Claim
from invoke_core.lifecycle import advance
from invoke_core.records import takes_callbacks
from invoke_core.transitions import MOST_TRIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke_core.drafts import Call, Draft, Drafts
    from invoke_core.journal import Journal, Loaded
    from invoke_core.ports import Clock, Pause
    from invoke_core.transitions import Transitions


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Finds the invocation a key stands for, or begins it."""

    journal: Journal
    transitions: Transitions
    drafts: Drafts
    now: Clock
    pause: Pause

    def begin(self, call: Call, draft: Draft, store: Callable[[Draft], Loaded]) -> Begun:
        """Store the invocation of a call, unless its key stands for one.

        A key is claimed first, and the invocation stored under the id of the claim after. Whoever
        finds a claim without its invocation stores one under that very id, so that of two that do
        only one can: a claim never leads to two requests, whichever process dies where.

        Args:
            call: The call; it has a key.
            draft: The invocation it asks for.
            store: Stores a draft; raises ``EntityConflictError`` where the id is taken.

        Returns:
            The invocation, and whether it is this call's to run.

        Raises:
            IdempotencyConflictError: The key stands for another task.
            EntityConflictError: Others wrote again and again; nothing was sent.
            StoreUnavailableError: The store did not answer; nothing was sent.
        """
        content = _content_hash(call, draft.prepared.task.asked)
        etag = ""
        for attempt in range(MOST_TRIES):
            if attempt:
                self.pause(attempt)
            invocation = draft.record.invocation
            wanted = Claim(
                partition_key=_claim_key(call, invocation.connection),
                plan_id=invocation.id,
                etag=etag,
            )
            try:
                claim = self.journal.claim(wanted)
                if claim is wanted:
                    record = replace(draft.record, claim=claim.partition_key, content=content)
                    mine = replace(draft, record=record)
                    return Begun(loaded=store(mine), draft=mine)
                loaded = self._loaded(claim)
            except EntityConflictError:
                # Somebody else claimed, took over or began at the same time: look again, with a
                # new id, since this one may be another's by now.
                etag = ""
                draft = self.drafts.draft(call, self.now())
                continue
            if loaded is None:
                draft = self.drafts.draft(call, self.now(), plan_id=claim.plan_id)
            elif takes_callbacks(loaded.record, self.now()):
                # What counts is what was stored: a claim may have changed hands before that.
                if not hmac.compare_digest(loaded.record.content, content):
                    raise IdempotencyConflictError
                told = self._told(loaded)
                if told is None:
                    continue
                return Begun(loaded=told, draft=None)
            else:
                draft = self.drafts.draft(call, self.now())
            etag = claim.etag
        raise EntityConflictError

    def _told(self, loaded: Loaded) -> Loaded | None:
        """Note that this call is told of an invocation, so that nobody takes it back.

        Returns:
            The invocation; None where it has just been taken back, and the key is free again.
        """
        if advance(loaded.record, Replayed(), self.now()) is loaded.record:
            return loaded
        try:
            return self.transitions.apply(loaded.plan_id, Replayed(), loaded=loaded)
        except InvocationNotFoundError:
            return None

    def _loaded(self, claim: Claim) -> Loaded | None:
        """Return the invocation a claim stands for, or None where it was never stored."""
        try:
            return self.transitions.apply(claim.plan_id, Seen())
        except InvocationNotFoundError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """An invocation under a key.

    Attributes:
        loaded: As it is stored.
        draft: What is to be run; None where an earlier call has run it, or does.
    """

    loaded: Loaded
    draft: Draft | None


def _claim_key(call: Call, connection: str) -> str:
    parts = f"{call.caller}\n{connection.lower()}\n{call.idempotency_key}"
    return f"key-{hashlib.sha256(parts.encode()).hexdigest()}"


def _content_hash(call: Call, asked: str) -> str:
    """Return what tells two tasks apart.

    The content may hold secrets short enough to be guessed; keyed with something that is not
    stored, its hash is of no use to who reads the store.
    """
    key = call.idempotency_key.encode()
    return hmac.new(key, asked.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
