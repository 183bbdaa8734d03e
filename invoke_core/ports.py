"""What the service needs from the outside world. The docstrings are the contracts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from contextlib import AbstractContextManager

    from invoke_core.connections import Connection
    from invoke_core.model import Answer, OutgoingRequest, Secret

Clock = Callable[[], datetime]
"""Returns the time now: aware, UTC, whole milliseconds, since that is what is stored of it."""

NewId = Callable[[], str]
"""Returns a fresh random GUID, lower-case."""

NewToken = Callable[[], str]
"""Returns a fresh AuthToken: 256 random bits in the URL-safe Base64 alphabet, without padding."""

Pause = Callable[[int], None]
"""Waits a moment of random length before the n-th further try, longer with each."""

JudgeUrl = Callable[[str], None]
"""Raises ``PolicyError`` where a URL leaves what a connection grants."""


class Sender(Protocol):
    """Carries out HTTP exchanges."""

    def prepared_url(self, url: str) -> str:
        """Return the URL exactly as it would be sent.

        Args:
            url: An absolute http or https URL as it was concatenated.

        Returns:
            The URL after the percent-encoding the transport applies.

        Raises:
            PolicyError: It cannot be made into a URL at all.
        """
        ...

    def send(
        self,
        request: OutgoingRequest,
        *,
        connection: Connection,
        judge: JudgeUrl,
        answers: Container[int],
        timeout_s: float,
        limit_bytes: int,
    ) -> AbstractContextManager[Answer]:
        """Send a request and read the answer to its last byte, following redirects.

        The exchange takes place on entering the context. The bytes of the answer count against
        what the process may hold (``spent``) until the context is left, so leave it as soon as
        the answer is done with::

            with sender.send(request, ...) as answer:
                ...

        Args:
            request: The request; exactly its headers are sent beside the transport's own.
            connection: Gives TLS options, the redirect rule and whether loopback is allowed.
            judge: Called with the prepared URL of each redirect before it is followed; what it
                refuses becomes a ``SendError``.
            answers: Statuses that are answers even where they look like redirects.
            timeout_s: Seconds for the whole exchange: look-up, connect, TLS, every redirect,
                headers and body.
            limit_bytes: Longest body accepted, after content encodings are undone.

        Returns:
            A context with the answer of the last hop.

        Raises:
            SendError: On entering: the exchange did not come to an end; the error says why and
                what is known of its effect. No later than ``timeout_s`` after the call, give or
                take 0.5 s.
            PolicyError: On entering: the request's URL cannot be made into a URL at all, so
                ``prepared_url`` raises it too. Nothing else is raised.
        """
        ...

    def spent(self) -> bool:
        """Tell whether the process holds as many bytes of answers as it may."""
        ...


class Credentials(Protocol):
    """Has the tokens of connections whose credential is fetched (``model.FetchedAuth``).

    A token is kept until shortly before its end, by connection, and fetched once however many
    ask for it at the same time.
    """

    def token(
        self, connection: Connection, *, timeout_s: float, refused: Secret | None = None
    ) -> Secret:
        """Return the bearer token to send.

        Args:
            connection: Its ``auth`` is a ``FetchedAuth``; its ``tls`` and ``allow.loopback``
                count for fetching as well.
            timeout_s: Seconds it may take.
            refused: A token that the target has just answered with 401; another is fetched in its
                place, unless somebody did so already. It is returned itself where a new one was
                refused too a moment ago (``note_refused``): asking again would change nothing.

        Raises:
            SendError: There is none: ``credentialFailed``, effect ``none``. No later than
                ``timeout_s`` after the call, give or take 0.5 s.
        """
        ...

    def note_refused(self, connection: Connection, token: Secret) -> None:
        """Learn that the target refused a token fetched in place of a refused one."""
        ...

    def known(self, connection: Connection) -> tuple[Secret, ...]:
        """Return the tokens of a connection that are still remembered, for masking."""
        ...


@dataclass(frozen=True, slots=True)
class Entity:
    """One row of the store.

    Attributes:
        row_key: Its key within its partition.
        value: What it holds.
        etag: Names this state of it; any write gives it another.
    """

    row_key: str
    value: bytes = field(repr=False)
    etag: str


@dataclass(frozen=True, slots=True)
class Insert:
    """A row that must not be there yet."""

    row_key: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Replace:
    """A row that must be there in the state its ETag names."""

    row_key: str
    value: bytes = field(repr=False)
    etag: str


@dataclass(frozen=True, slots=True)
class Put:
    """A row that is written whether it is there or not."""

    row_key: str
    value: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Remove:
    """A row that is gone afterwards, whether it was there or not.

    Attributes:
        row_key: Its key.
        etag: The one state in which it may be removed; empty for any.
    """

    row_key: str
    etag: str = ""


Change = Insert | Replace | Put | Remove

MOST_CHANGES: Final = 100
"""Changes in one write (Azure Tables: operations in one entity group transaction)."""

LONGEST_VALUE_BYTES: Final = 512 * 1024
"""Longest value of one entity; half of what Azure Tables takes, for its encodings."""

LONGEST_WRITE_BYTES: Final = 2 * 1024 * 1024
"""All values of one write together; half of what Azure Tables takes, likewise."""


class Alarms(Protocol):
    """Sees that invocations are looked after when something is due, whichever process is left."""

    def set(
        self, plan_id: str, at: datetime, *, set_at: datetime | None = None, turn: int = 0
    ) -> None:
        """Have an invocation looked after at an instant, or soon after.

        It is set before the record that needs it is written. So whoever is called may find the
        record not there yet, or as it was, or not in need any more.

        Args:
            plan_id: The invocation.
            at: When.
            set_at: When that was first said; None for now.
            turn: The turn of the record that needs it (``records.Work.turn``).

        Raises:
            StoreUnavailableError: It may or may not be set.
        """
        ...

    def clear(self, plan_id: str, at: datetime) -> None:
        """Forget what was set, as far as that is cheap; a needless alarm does no harm."""
        ...


class Seal(Protocol):
    """Keeps texts at rest so that only who shows an AuthToken can have them read."""

    def seal(self, texts: Sequence[str], *, token: str) -> str:
        """Return the texts sealed with a token, as ASCII text."""
        ...

    def unseal(self, sealed: str, *, token: str) -> tuple[str, ...]:
        """Return the texts that were sealed with this very token; none for an empty text."""
        ...


class StateSeal(Protocol):
    """Keeps what waits for work in the background at rest, under the administrator's key.

    It tells as well whether a text was changed, or moved to another plan: it then does not open.
    """

    @property
    def available(self) -> bool:
        """Whether there is a key; without one nothing is sealed and nothing opens."""
        ...

    def seal(self, plain: bytes, *, plan_id: str) -> str:
        """Return bytes sealed for one plan, as ASCII text a third longer than they are.

        Args:
            plain: What must not be read in the store.
            plan_id: The plan it belongs to; it opens with this very id only.

        Raises:
            SealError: There is no key.
        """
        ...

    def unseal(self, sealed: str, *, plan_id: str) -> bytes:
        """Return the bytes that ``seal`` was given, under the current key or one before.

        Raises:
            SealError: No key at hand opens it for this plan.
        """
        ...


class EntityStore(Protocol):
    """Durable rows in partitions, with the guarantees of Azure Table Storage.

    Keys consist of ASCII letters, digits, ``.``, ``-`` and ``_``, at most 200 of them, and are
    ordered by their bytes. Every method raises ``StoreUnavailableError`` where the store cannot
    be reached or does not answer within some seconds; a write may then have taken place.
    """

    def get(self, partition_key: str, row_key: str) -> Entity | None:
        """Return one row by its keys, or None where there is none."""
        ...

    def read(
        self, partition_key: str, *, first: str, before: str, most: int | None = None
    ) -> list[Entity]:
        """Return the rows of a partition in a range of row keys, in order.

        Args:
            partition_key: The partition.
            first: The lowest row key wanted.
            before: The row key before which the range ends.
            most: How many at most; None for all.
        """
        ...

    def row_keys(self, partition_key: str, *, most: int) -> list[str]:
        """Return the first row keys of a partition, without the values."""
        ...

    def scan(
        self,
        *,
        first_partition: str,
        before_partition: str,
        after: tuple[str, str] | None = None,
        most: int,
    ) -> list[tuple[str, Entity]]:
        """Return rows of neighbouring partitions, ordered by partition key, then row key.

        Args:
            first_partition: The lowest partition key wanted.
            before_partition: The partition key before which the range ends.
            after: Partition and row key after which to go on; None for the beginning.
            most: How many at most.

        Returns:
            Each row with its partition key; fewer than ``most`` only where there are no more.
        """
        ...

    def write(self, partition_key: str, changes: Sequence[Change]) -> list[str]:
        """Apply changes to rows of one partition: all of them, or none.

        Args:
            partition_key: The partition.
            changes: 1 to ``MOST_CHANGES`` of them, each row once, within ``LONGEST_VALUE_BYTES``
                a value and ``LONGEST_WRITE_BYTES`` together.

        Returns:
            The new ETag of each row, in order; empty for a removed one.

        Raises:
            EntityConflictError: An ``Insert`` found its row, a ``Replace`` did not find it in the
                state it names, or a ``Remove`` found it in another; nothing was changed. A write
                that took place, and whose answer was lost on the way, does not raise this when it
                is sent again underneath.
        """
        ...

    def check(self) -> None:
        """See whether the store can be used.

        Raises:
            StoreUnavailableError: It cannot.
        """
        ...


@runtime_checkable
class OrderedWrites(Protocol):
    """What a store may offer beside: several writes for the price of one."""

    def write_in_order(self, writes: Sequence[tuple[str, Sequence[Change]]]) -> list[list[str]]:
        """Apply writes to several partitions, one after the other, each as ``write`` does.

        Where it fails, writes may have taken place only if all before them have.

        Args:
            writes: One or more: partition keys and the changes to rows of each; no row twice.

        Returns:
            For each write, the new ETag of each row.

        Raises:
            EntityConflictError: One was refused, and none after it took place.
        """
        ...


def write_in_order(
    store: EntityStore, writes: Sequence[tuple[str, Sequence[Change]]]
) -> list[list[str]]:
    """Apply writes one after the other, together where the store can; see ``OrderedWrites``."""
    if isinstance(store, OrderedWrites):
        return store.write_in_order(writes)
    return [store.write(partition_key, changes) for partition_key, changes in writes]


class AlarmMessages(Protocol):
    """Messages that come back after a while, to whichever process takes them."""

    def put(self, text: str, *, delay_s: int) -> None:
        """Leave a message, which is handed out no earlier than its delay from now.

        It is handed out at least once, by the clock of the queue, and lies there until what takes
        it has succeeded. A message whose answer is lost is sent again underneath, so that it may
        lie there twice; whoever takes it decides whether there is still something to do.

        Args:
            text: No secret; at most 48 KiB in UTF-8.
            delay_s: Whole seconds, 0 to seven days (Azure Queue Storage).

        Raises:
            StoreUnavailableError: The queue cannot be reached or does not answer within some
                seconds; the message may lie there all the same.
        """
        ...

    def check(self) -> None:
        """See that the queue can be used, and make it where it is missing.

        Raises:
            StoreUnavailableError: It cannot.
        """
        ...
