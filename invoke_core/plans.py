"""The use cases of the Azure-Pipelines-compatible half: what an external service does to its plan.

Source: HTTP contract, section 6; agentless protocol, section 4.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from invoke_core.callback_values import NO_GUID, guid_form, members, read_guid, read_text, refuse
from invoke_core.documents import JsonNumber
from invoke_core.drafts import hash_token
from invoke_core.encoding import time_form, whole_number
from invoke_core.errors import (
    EntityConflictError,
    InvocationEndedError,
    InvocationNotFoundError,
    PlanLimitError,
    ResourceNotFoundError,
    TokenRejectedError,
)
from invoke_core.events import Seen, TaskCompleted
from invoke_core.headers import secret_texts
from invoke_core.journal import LOG_ROWS, RECORD_ROWS, LogEntry
from invoke_core.lifecycle import advance
from invoke_core.log import event_line
from invoke_core.patches import read_patches
from invoke_core.prepared import credential_masker
from invoke_core.records import end_of, takes_callbacks
from invoke_core.steps import pointer
from invoke_core.task_events import read_event
from invoke_core.timeline import (
    judge_records,
    judge_variables,
    merged,
    plan_form,
    shown_records,
    stamped,
    timeline_form,
)
from invoke_core.transitions import MOST_TRIES
from invoke_core.uploads import UploadMask, lines_of, read_page
from invoke_core.variables import Masker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.connections import ConnectionBook
    from invoke_core.documents import JsonValue
    from invoke_core.journal import Head, Journal, Loaded
    from invoke_core.patches import RecordPatch
    from invoke_core.ports import Clock, Credentials, Pause, Seal
    from invoke_core.transitions import Transitions

    Form = dict[str, JsonValue]

LONGEST_PAGE_BYTES: Final = 8 * 1024 * 1024
MOST_LOG_BYTES: Final = 64 * 1024 * 1024
MOST_ENTRIES: Final = 100_000
"""Log pages and calls that bring feed lines; a limit of logs too."""

_LONGEST_PATH: Final = 1_024
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_DROPPED: Final = (
    "Warning: a page of this log arrived empty. It was sent in chunks, and Azure Functions drops "
    "chunked bodies; with a Content-Length it would have arrived."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPlan:
    """A plan, and the token that opened it.

    Attributes:
        loaded: The plan as it was read then; a deadline that had passed has ended it.
        token: The AuthToken.
    """

    loaded: Loaded
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Addition:
    """What one call adds to a plan; nothing where ``head`` is None."""

    head: Head | None
    entries: tuple[LogEntry, ...] = ()
    rows: tuple[tuple[str, dict[str, Any]], ...] = ()
    answer: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanService:
    """Does what an external service asks of its plan.

    Every method takes the plan that ``open`` returned, so that one read serves both the token and
    the write, and raises ``StoreUnavailableError`` where the store does not answer and
    ``EntityConflictError`` where others wrote again and again.
    """

    journal: Journal
    transitions: Transitions
    connections: ConnectionBook
    credentials: Credentials
    seal: Seal
    now: Clock
    pause: Pause

    def open(self, plan_id: str, token: str) -> OpenPlan:
        """Return a plan to somebody who holds its token.

        Args:
            plan_id: As it stands in the path.
            token: As it was presented; empty for none.

        Raises:
            TokenRejectedError: There is no such plan, this is not its token, or it ended more
                than 24 hours ago; nobody learns which.
            StoreUnavailableError: The store did not answer.
        """
        guid = guid_form(plan_id)
        if guid is None or not _TOKEN.fullmatch(token):
            raise TokenRejectedError
        loaded = self.journal.load(guid)
        stored = loaded.record.token_hash if loaded else ""
        if not hmac.compare_digest(hash_token(token), stored) or loaded is None:
            raise TokenRejectedError
        return OpenPlan(loaded=self._seen(loaded), token=token)

    def event(self, plan: OpenPlan, document: JsonValue) -> None:
        """Take an event.

        Args:
            plan: The plan.
            document: The event.

        Raises:
            InvalidInputError: It is no event of this plan's task.
            InvocationEndedError: The task has ended, and otherwise than the event says.
        """
        event = read_event(document, plan.loaded.record.invocation.correlation)
        if event.result is None:
            self._append(plan, lambda loaded: self._event_line(loaded, event.name))
            return
        completed = TaskCompleted(event.result)
        loaded = self.transitions.apply(plan.loaded.plan_id, completed, loaded=plan.loaded)
        record = loaded.record
        if record.reported is not event.result:
            raise InvocationEndedError(end_of(record))

    def records(self, plan: OpenPlan) -> list[Form]:
        """Return all records of the timeline."""
        return [*shown_records(plan.loaded.record, self._stored_records(plan.loaded)).values()]

    def patch_records(self, plan: OpenPlan, document: JsonValue) -> list[Form]:
        """Create and change records.

        Args:
            plan: The plan.
            document: ``{"value": [record, …]}``.

        Returns:
            The records that were named, as they stand.

        Raises:
            InvalidInputError: Something in it cannot be stored; nothing was.
            PlanLimitError: A limit of the plan would be passed; nothing was stored.
        """
        patches = read_patches(document)
        judge_variables(patches)
        mask = self._mask(plan).also(secret for patch in patches for secret in patch.secrets())
        masked = [patch.masked(mask) for patch in patches]
        answer: list[Form] = self._append(plan, lambda loaded: self._patched(loaded, masked))
        return answer

    def feed(self, plan: OpenPlan, document: JsonValue) -> None:
        """Add lines to the log of the plan, whichever record they are said to be of.

        Args:
            plan: The plan.
            document: ``{"value": [line, …]}``.

        Raises:
            InvalidInputError: These are no lines.
            PlanLimitError: The log of the plan is full.
        """
        value = members(document, "").get("value")
        if value is None or not isinstance(value.value, list):
            refuse(value.pointer if value else "", "The member 'value' has to be a list of lines.")
        lines = [
            line
            if isinstance(line, str)
            else refuse(pointer(value.pointer, place), "A line has to be text.")
            for place, line in enumerate(value.value)
        ]
        if lines:
            text = self._mask(plan).text("\n".join(lines))
            self._append(plan, lambda loaded: _entry(loaded, LogEntry(text=text)))

    def create_log(self, plan: OpenPlan, document: JsonValue) -> Form:
        """Create a log, a new one each time, and return it.

        Args:
            plan: The plan.
            document: ``{"path": …}``.

        Raises:
            InvalidInputError: It has no such form.
            PlanLimitError: The plan has as many logs as it may.
        """
        path = members(document, "").get("path")
        text = "" if path is None else read_text(path.value, path.pointer)
        if path is not None and len(text) > _LONGEST_PATH:
            refuse(path.pointer, f"A path has at most {_LONGEST_PATH} characters.")
        masked = self._mask(plan).text(text)
        answer: Form = self._append(plan, lambda loaded: self._created(loaded, masked))
        return answer

    def append_log(self, plan: OpenPlan, log_id: str, body: bytes, *, dropped: bool) -> Form:
        """Append a page to a log, and return the log.

        Args:
            plan: The plan.
            log_id: The log, as it stands in the path.
            body: Text in UTF-8, whatever it is said to be.
            dropped: Whether the platform dropped the page; the log tells of it then.

        Raises:
            ResourceNotFoundError: There is no such log.
            PlanLimitError: The page is too long, or the log of the plan full.
        """
        number = _log_number(plan.loaded, log_id)
        if len(body) > LONGEST_PAGE_BYTES:
            raise PlanLimitError(f"A page of a log has at most {LONGEST_PAGE_BYTES} bytes (8 MiB).")
        text = _DROPPED if dropped else self._mask(plan).text(read_page(body))
        answer: Form = self._append(plan, lambda loaded: self._page(loaded, number, text))
        return answer

    def logs(self, plan: OpenPlan) -> list[Form]:
        """Return all logs of the plan."""
        rows = self.journal.rows(plan.loaded.plan_id, f"{LOG_ROWS}.", f"{LOG_ROWS}/")
        return [row["log"] for _, row in rows]

    def log_lines(
        self, plan: OpenPlan, log_id: str, *, first: int = 1, last: int | None = None
    ) -> list[str]:
        """Return the lines of a log.

        Args:
            plan: The plan.
            log_id: The log, as it stands in the path.
            first: The first line wanted, from 1. Inferred: ``startLine`` and ``endLine`` both
                count from 1 and are both included; no client was seen to use them.
            last: The last line wanted; None for all.

        Raises:
            ResourceNotFoundError: There is no such log.
        """
        number = _log_number(plan.loaded, log_id)
        lines = [
            line
            for entry in self.journal.entries(plan.loaded.plan_id)
            if entry.log_id == number
            for line in lines_of(entry.text)
        ]
        return lines[max(0, first - 1) : None if last is None else max(0, last)]

    def plan(self, plan: OpenPlan) -> Form:
        """Return the plan itself."""
        return plan_form(plan.loaded.record, changes=plan.loaded.head.changes)

    def timeline(self, plan: OpenPlan, timeline_id: str, *, with_records: bool) -> Form:
        """Return the timeline, by whichever GUID it was asked for."""
        return timeline_form(
            plan.loaded.record,
            timeline_id=timeline_id,
            changes=plan.loaded.head.changes,
            records=self.records(plan) if with_records else None,
        )

    def create_timeline(self, plan: OpenPlan, document: JsonValue) -> Form:
        """Return the timeline under the id that an agent would give it; there is only one.

        Raises:
            InvalidInputError: The document has no ``id`` that is a GUID.
        """
        found = members(document, "").get("id")
        guid = NO_GUID if found is None else read_guid(found.value, found.pointer)
        if guid == NO_GUID:
            refuse("", "A timeline needs its 'id', a GUID.")
        return self.timeline(plan, guid, with_records=False)

    def _seen(self, loaded: Loaded) -> Loaded:
        """Let a deadline that has passed end the plan, and see that it is open still."""
        now = self.now()
        if advance(loaded.record, Seen(), now) is not loaded.record:
            try:
                loaded = self.transitions.apply(loaded.plan_id, Seen(), loaded=loaded)
            except InvocationNotFoundError:
                raise TokenRejectedError from None
        if not takes_callbacks(loaded.record, now):
            raise TokenRejectedError
        return loaded

    def _mask(self, plan: OpenPlan) -> UploadMask:
        record = plan.loaded.record
        known = self.connections.find(record.invocation.connection)
        connection = known.connection if known else None
        secrets = (plan.token, *self.seal.unseal(record.sealed, token=plan.token))
        if connection is None:
            return UploadMask(Masker(()), secrets)
        fetched = (token.reveal() for token in self.credentials.known(connection))
        texts = (*secret_texts(connection), *fetched)
        return UploadMask(credential_masker(connection), (*texts, *secrets))

    def _append(self, plan: OpenPlan, addition_to: Callable[[Loaded], _Addition]) -> Any:  # noqa: ANN401  # what the addition answers; its maker knows
        """Add to a plan what a function says, asked anew whenever somebody else was first."""
        loaded = plan.loaded
        for attempt in range(MOST_TRIES):
            if attempt:
                self.pause(attempt)
                loaded = self.open(loaded.plan_id, plan.token).loaded
            addition = addition_to(loaded)
            if addition.head is None:
                return addition.answer
            try:
                self.journal.append(
                    loaded, head=addition.head, entries=addition.entries, rows=addition.rows
                )
            except EntityConflictError:
                continue
            return addition.answer
        raise EntityConflictError

    def _event_line(self, loaded: Loaded, name: str) -> _Addition:
        entry = LogEntry(text=event_line(name, now=self.now()))
        # A full log is no reason to refuse an event.
        if loaded.record.is_final or _is_full(loaded.head, entry):
            return _Addition(head=None)
        return _Addition(head=loaded.head, entries=(entry,))

    def _stored_records(self, loaded: Loaded) -> dict[str, Form]:
        if not loaded.head.changes:
            return {}
        rows = self.journal.rows(loaded.plan_id, f"{RECORD_ROWS}.", f"{RECORD_ROWS}/")
        return {row["record"]["id"]: row["record"] for _, row in rows}

    def _patched(self, loaded: Loaded, patches: Sequence[RecordPatch]) -> _Addition:
        stored = self._stored_records(loaded)
        after: dict[str, Form] = {}
        change_id, now = loaded.head.changes + 1, self.now()
        for patch in patches:
            before = after.get(patch.id) or stored.get(patch.id)
            record = merged(before, patch)
            if record != before:
                after[patch.id] = stamped(record, change_id=change_id, now=now)
        records = {**stored, **after}
        variables = judge_records(loaded.record, records, changed=after.values())
        head = replace(loaded.head, changes=change_id, variables=variables)
        shown = shown_records(loaded.record, records)
        return _Addition(
            head=head if after else None,
            rows=tuple((f"{RECORD_ROWS}.{key}", {"record": row}) for key, row in after.items()),
            answer=[shown[key] for key in dict.fromkeys(patch.id for patch in patches)],
        )

    def _created(self, loaded: Loaded, path: str) -> _Addition:
        number = loaded.head.logs + 1
        if number > MOST_ENTRIES:
            raise PlanLimitError(f"A plan has at most {MOST_ENTRIES} logs.")
        created_on = time_form(self.now())
        log: Form = {
            "id": JsonNumber(str(number)),
            "location": None,
            "path": path,
            "lineCount": JsonNumber("0"),
            "createdOn": created_on,
            "lastChangedOn": created_on,
        }
        return _Addition(
            head=replace(loaded.head, logs=number),
            rows=((_log_key(number), {"log": log}),),
            answer=log,
        )

    def _page(self, loaded: Loaded, number: int, text: str) -> _Addition:
        key = _log_key(number)
        [(_, row)] = self.journal.rows(loaded.plan_id, key, f"{key}.")
        if not text:
            return _Addition(head=None, answer=row["log"])
        count = whole_number(row["log"]["lineCount"]) + len(lines_of(text))
        log = {
            **row["log"],
            "lineCount": JsonNumber(str(count)),
            "lastChangedOn": time_form(self.now()),
        }
        added = _entry(loaded, LogEntry(text=text, log_id=number))
        return replace(added, rows=((key, {"log": log}),), answer=log)


def _entry(loaded: Loaded, entry: LogEntry) -> _Addition:
    if _is_full(loaded.head, entry):
        raise PlanLimitError(
            f"The log of a plan has at most {MOST_LOG_BYTES} bytes (64 MiB) "
            f"in at most {MOST_ENTRIES} pages and feeds."
        )
    return _Addition(head=loaded.head, entries=(entry,))


def _is_full(head: Head, entry: LogEntry) -> bool:
    size = head.entry_bytes + len(entry.text.encode())
    return size > MOST_LOG_BYTES or head.entries >= MOST_ENTRIES


def _log_number(loaded: Loaded, log_id: str) -> int:
    """Return the number of a log that exists."""
    if re.fullmatch("[0-9]{1,9}", log_id) and 1 <= int(log_id) <= loaded.head.logs:
        return int(log_id)
    raise ResourceNotFoundError


def _log_key(number: int) -> str:
    return f"{LOG_ROWS}.{number:08}"
