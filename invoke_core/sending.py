"""From a task to what came of its request: granted, sent, judged, masked."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from invoke_core.answers import AnswerReading
from invoke_core.connections import BearerAuth, FetchedAuth
from invoke_core.errors import ConnectionUnavailableError, PolicyError, SendError
from invoke_core.events import Exchanged, StatusUrl
from invoke_core.headers import (
    credential_texts,
    with_credential,
)
from invoke_core.judging import failed, is_refused, progress_of, verdict_of, with_warning
from invoke_core.model import (
    MASK,
    CompletionEvent,
    Effect,
    OutgoingRequest,
    Reason,
    ReasonCode,
    RequestView,
    Result,
)
from invoke_core.polling import (
    Failed,
    GoesOn,
    PollOptions,
)
from invoke_core.prepared import (
    Prepared,
    Sent,
    correlation_warnings,
    credential_masker,
    shown_headers,
    tls_warnings,
    with_trace,
)
from invoke_core.targets import full_url, judge_grant, judge_url, resolved, with_origin_of
from invoke_core.variables import Masker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from invoke_core.connections import Connection, ConnectionBook
    from invoke_core.inputs import Task
    from invoke_core.model import Answer, Correlation, Method, Secret
    from invoke_core.polling import Progress
    from invoke_core.ports import Credentials, Sender
    from invoke_core.turns import Turns


_LARGE_BYTES: Final = 64 * 1024
"""Answers longer than this are judged one after another: parsed, one takes up to 30 times its
bytes, or twice that where it is masked. Threads share one processor, so that takes no longer."""


class Sending:
    """Prepares and sends the requests of tasks."""

    def __init__(
        self,
        *,
        sender: Sender,
        credentials: Credentials,
        connections: ConnectionBook,
        exchange_timeout_s: float,
        body_limit_bytes: int,
        monotonic_s: Callable[[], float],
        turns: Turns,
    ) -> None:
        """Keep the parts.

        Args:
            sender: Carries out exchanges.
            credentials: Has the tokens of connections that need one.
            connections: The service connections there are.
            exchange_timeout_s: Seconds for one exchange with a target.
            body_limit_bytes: Longest body of an answer, content encodings undone.
            monotonic_s: Tells how much of an exchange's time is left.
            turns: Has the turn in which small answers are judged.
        """
        self._sender = sender
        self._credentials = credentials
        self._connections = connections
        self._exchange_timeout_s = exchange_timeout_s
        self._body_limit_bytes = body_limit_bytes
        self._monotonic_s = monotonic_s
        self._turns = turns
        self._large = threading.Lock()

    def prepare(
        self,
        task: Task,
        *,
        caller: str,
        trace: Mapping[str, str],
        correlation: Correlation,
        token: str,
    ) -> Prepared:
        """Return the request of a task, if its connection grants it.

        Args:
            task: The task.
            caller: Who asks (HTTP contract, section 5).
            trace: ``traceparent`` and ``tracestate`` as received.
            correlation: What the external service needs for calling back.
            token: The AuthToken; empty where nobody is to call back.

        Raises:
            ConnectionUnavailableError: The connection's definition is faulty.
            PolicyError: The connection does not grant this.
        """
        connection = self._connection(task.connection)
        try:
            url = self._granted_url(task, connection, caller)
        except PolicyError as error:
            error.connection = connection.name
            raise
        masker = Masker((*task.secrets, token))
        headers, warning = with_credential(with_trace(task.headers, trace), connection.auth)
        request = OutgoingRequest(method=task.method, url=url, headers=headers, body=task.body)
        warnings = [*task.warnings, *([warning] if warning else []), *tls_warnings(connection)]
        if task.completion_event is CompletionEvent.CALLBACK:
            warnings += correlation_warnings(request, correlation, token)
        return Prepared(
            task=task,
            caller=caller,
            connection=connection,
            request=request,
            view=RequestView(
                method=request.method,
                url=masker.show_url(self._without_secrets(url, connection)),
                headers=shown_headers(headers, connection, masker),
            ),
            masker=masker,
            credential=credential_masker(connection),
            warnings=tuple(masker.show(text) for text in warnings),
        )

    def prepare_status(self, prepared: Prepared, asked: StatusUrl) -> Prepared:
        """Return the request that asks for the status of the operation a task has started.

        Args:
            prepared: The request that started it.
            asked: Where to ask.

        Raises:
            PolicyError: The connection does not grant this.
        """
        poll = prepared.task.poll or PollOptions()
        self._judge_status_url(asked.url, prepared, poll.method)
        headers = tuple(
            (name, value)
            for name, value in prepared.request.headers
            if not name.lower().startswith("content-")
        )
        request = OutgoingRequest(method=poll.method, url=asked.url, headers=headers, body=None)
        return replace(prepared, request=request, asked=asked)

    def timeout_s(self, left_s: float) -> float:
        """Return the seconds an exchange may take.

        Args:
            left_s: Seconds left of the task's own time.
        """
        return min(self._exchange_timeout_s, left_s)

    def is_spent(self) -> bool:
        """Tell whether the process holds as many bytes of answers as it may."""
        return self._sender.spent()

    def send(self, prepared: Prepared, *, left_s: float) -> Sent:
        """Send a request and judge what comes back; a failure is an outcome too.

        Where the credential is a token that has to be fetched, that takes of the same time, and a
        target that answers 401 is asked once more, with a new token (contract, section 7).

        Args:
            prepared: The request.
            left_s: Seconds left of the task's own time.
        """
        timeout_s = self.timeout_s(left_s)
        if not isinstance(prepared.connection.auth, FetchedAuth):
            return self._exchanged(prepared, timeout_s)
        ends_at = self._monotonic_s() + timeout_s
        try:
            token = self._credentials.token(prepared.connection, timeout_s=timeout_s)
        except SendError as error:
            return failed(error, prepared)
        prepared = self._bearing(prepared, token)
        sent = self._exchanged(prepared, self._left_s(ends_at))
        return self._sent_anew(prepared, token, sent, ends_at) if is_refused(sent) else sent

    def _sent_anew(self, prepared: Prepared, token: Secret, sent: Sent, ends_at: float) -> Sent:
        """Send a request once more whose token was refused; keep the refusal where that fails."""
        connection = prepared.connection
        try:
            renewed = self._credentials.token(
                connection, timeout_s=self._left_s(ends_at), refused=token
            )
        except SendError as error:
            return with_warning(sent, prepared.shown(error.message))
        if renewed == token:
            return sent
        again = self._exchanged(self._bearing(prepared, renewed), self._left_s(ends_at))
        if is_refused(again):
            self._credentials.note_refused(connection, renewed)
        reason = again.outcome.reason
        if reason is not None and reason.effect is Effect.NONE:
            # The second request did not reach the target; the first did.
            reason = replace(reason, effect=Effect.ANSWERED)
            return replace(again, outcome=replace(again.outcome, reason=reason))
        return again

    def _bearing(self, prepared: Prepared, token: Secret) -> Prepared:
        """Return a request with its token, which is masked like any credential.

        So are the tokens before it: the target has seen them, and they are good for some minutes.
        """
        bearer = BearerAuth(token=token)
        headers, _ = with_credential(prepared.request.headers, bearer)
        known = self._credentials.known(prepared.connection)
        texts = (*credential_texts(bearer), *(earlier.reveal() for earlier in known))
        return replace(
            prepared,
            request=replace(prepared.request, headers=headers),
            credential=prepared.credential.also(texts),
        )

    def _left_s(self, ends_at: float) -> float:
        """Return the seconds left, in tenths: they stand in sentences."""
        return max(0.0, round(ends_at - self._monotonic_s(), 1))

    def _exchanged(self, prepared: Prepared, timeout_s: float) -> Sent:
        task, connection = prepared.task, prepared.connection
        try:
            with self._sender.send(
                prepared.request,
                connection=connection,
                judge=lambda url: self._judge_prepared(url, connection),
                answers=task.valid_status,
                timeout_s=timeout_s,
                limit_bytes=self._body_limit_bytes,
            ) as answer:
                body_bytes = len(answer.body)
                with self._large if body_bytes > _LARGE_BYTES else self._turns.taken():
                    return Sent(outcome=self._judged(answer, prepared), body_bytes=body_bytes)
        except SendError as error:
            return failed(error, prepared)

    def _judged(self, answer: Answer, prepared: Prepared) -> Exchanged:
        """Judge an answer and keep what may be shown of it; the answer itself is let go after."""
        task = prepared.task
        reading = AnswerReading(
            answer, credential=prepared.credential, store_body=prepared.connection.store_body
        )
        shown = prepared.masker
        if task.poll is not None and answer.status in task.valid_status:
            step: Progress | StatusUrl = progress_of(reading, prepared, task.poll)
            if isinstance(step, GoesOn):
                base = answer.url or prepared.request.url
                step = self._status_url(step, base, prepared, task.poll)
            if isinstance(step, StatusUrl):
                return Exchanged(result=None, response=reading.view(shown), status_url=step)
            if isinstance(step, Failed):
                return Exchanged(
                    result=Result.FAILED,
                    reason=step.reason,
                    response=reading.view(shown),
                    may_start_anew=step.is_end,
                )
        return verdict_of(reading, prepared)

    def _status_url(
        self, progress: GoesOn, base: str, prepared: Prepared, poll: PollOptions
    ) -> StatusUrl | Failed:
        """Return the status URL that a target names, if its connection grants that."""
        try:
            url = with_origin_of(resolved(base, progress.reference), prepared.connection.url)
            self._judge_status_url(url, prepared, poll.method)
        except PolicyError as error:
            message = f"The status URL in the answer was not asked: {prepared.shown(error.message)}"
            return Failed(Reason(ReasonCode.POLL_FAILED, message, Effect.ANSWERED))
        shown = prepared.masker.show_url(self._without_secrets(url, prepared.connection))
        return StatusUrl(url=url, shown_url=shown, source=progress.source)

    def _judge_status_url(self, url: str, prepared: Prepared, method: Method) -> None:
        connection = prepared.connection
        if urlsplit(url)[:2] != urlsplit(connection.url)[:2]:
            raise PolicyError("it leads to another origin than the service connection's.")
        judge_grant(
            connection.allow, method=method, caller=prepared.caller, connection=connection.name
        )
        judge_url(url, base=connection.url, allow=connection.allow)
        self._judge_prepared(self._sender.prepared_url(url), connection)

    def _connection(self, name: str) -> Connection:
        known = self._connections.find(name)
        if known is None or known.connection is None:
            raise ConnectionUnavailableError(name)
        return known.connection

    def _granted_url(self, task: Task, connection: Connection, caller: str) -> str:
        """Return the URL to reach, judged as concatenated and as it would be sent."""
        allow = connection.allow
        judge_grant(allow, method=task.method, caller=caller, connection=connection.name)
        if task.poll is not None:
            # Or the operation would be started, and nobody could ask what became of it.
            judge_grant(allow, method=task.poll.method, caller=caller, connection=connection.name)
        url = full_url(connection, task.url_suffix)
        _judge_url(url, connection.url, connection)
        self._judge_prepared(self._sender.prepared_url(url), connection)
        return url

    def _judge_prepared(self, url: str, connection: Connection) -> None:
        _judge_url(url, self._sender.prepared_url(connection.url), connection)

    def _without_secrets(self, url: str, connection: Connection) -> str:
        """Return a granted URL as it is sent, without what is secret in the connection's part."""
        whole, base = self._sender.prepared_url(url), self._sender.prepared_url(connection.url)
        shown = credential_masker(connection).hide(base)
        if shown == base:
            return whole
        if whole.startswith(base):
            return shown + whole[len(base) :]
        # Escapes at the seam changed the connection's part, and its end cannot be told.
        parts = urlsplit(base)
        return f"{parts.scheme}://{parts.netloc}/{MASK}"


def _judge_url(url: str, base: str, connection: Connection) -> None:
    try:
        judge_url(url, base=base, allow=connection.allow)
    except PolicyError as error:
        # The paths that are granted may hold the key that stands in the connection's URL; nothing
        # in the sentence is the caller's.
        raise PolicyError(credential_masker(connection).hide(error.message)) from None
