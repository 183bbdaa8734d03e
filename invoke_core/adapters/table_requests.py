"""Requests to one table of a storage account, each within a limit of time.

Only the first use of a store imports this: the libraries cost a tenth of a second and more.
"""

from __future__ import annotations

import json
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import requests
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ResourceExistsError,
)
from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient, UpdateMode
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from invoke_core.adapters.table_answers import CALL_LIMIT_S, PAGE_ROWS, Page, Reason, Refusal
from invoke_core.errors import StoreUnavailableError
from invoke_core.model import Secret
from invoke_core.ports import Insert, Remove, Replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from azure.core.credentials import TokenCredential

    from invoke_core.model import AccountIdentity, StorageAccount
    from invoke_core.ports import Change

    T = TypeVar("T")

_CONNECT_LIMIT_S: Final = 3.0
_READ_LIMIT_S: Final = 5.0
_PAUSES_S: Final = (0.1, 0.6)
_LEAST_LEFT_S: Final = 0.5
_PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})


class TableRequests:
    """Sends requests to one table; any number of threads may use it."""

    def __init__(
        self,
        account: StorageAccount,
        *,
        table: str,
        threads: int,
        credential: TokenCredential | None = None,
        ca_file: str | None = None,
        call_limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """Make the client; nothing is sent.

        Args:
            account: The storage account.
            table: The table's name.
            threads: How many connections to keep for as many threads.
            credential: Takes the place of the account's identity.
            ca_file: Certificates to trust instead of the usual ones.
            call_limit_s: Seconds after which a call has failed.

        Raises:
            StoreUnavailableError: The account is not described as the library expects it.
        """
        self._setting = account.setting
        self._call_limit_s = call_limit_s
        options: dict[str, Any] = {
            "table_name": table,
            "transport": _transport(threads, ca_file),
            # Attempts are counted here instead: the library would sleep as long as an answer's
            # Retry-After says, and would not tell that an attempt went unanswered.
            "retry_total": 0,
        }
        try:
            if isinstance(account.access, Secret):
                text = account.access.reveal()
                self._client = TableClient.from_connection_string(text, **options)
            else:
                self._client = TableClient(
                    account.access.table_uri,
                    credential=credential or _credential(account.access),
                    **options,
                )
        except ValueError as error:
            raise StoreUnavailableError(self._setting, type(error).__name__) from None

    def page(
        self,
        condition: str,
        values: Mapping[str, str],
        *,
        most: int,
        select: Sequence[str] | None = None,
        token: object | None = None,
        give_up_at: float | None = None,
    ) -> Page | Refusal:
        """Return one page of the rows that meet a condition.

        Args:
            condition: An OData filter with ``@names``.
            values: What the names stand for.
            most: Rows that are wanted.
            select: Properties that are wanted; None for all.
            token: Where a page before this one said that the next begins.
            give_up_at: On the monotonic clock; None for the limit of a call from now.
        """

        def send(limits: Mapping[str, float]) -> Page:
            pages = self._client.query_entities(
                condition,
                parameters=dict(values),
                results_per_page=min(most, PAGE_ROWS),
                select=None if select is None else list(select),
                **limits,
            ).by_page(token)  # type: ignore[arg-type]  # annotated str, and a dict in truth
            rows = list(next(pages))
            return Page(rows, pages.continuation_token)  # type: ignore[attr-defined]  # not in Iterator

        return self._repeated(send, give_up_at)

    def row(self, partition_key: str, row_key: str) -> Any | Refusal:  # noqa: ANN401  # the library's own entity
        """Return one row by its keys, with its properties and ``metadata``."""

        def send(limits: Mapping[str, float]) -> Any:  # noqa: ANN401  # likewise
            fetch: Any = self._client.get_entity
            return fetch(partition_key, row_key, **limits)

        return self._repeated(send, None)

    def apply(
        self, changes: Sequence[tuple[Change, Mapping[str, object]]], *, give_up_at: float
    ) -> list[str] | Refusal:
        """Apply changes to one partition, all or none.

        Args:
            changes: Each with the properties of its row, keys included.
            give_up_at: On the monotonic clock.

        Returns:
            The ETag of each row, or why nothing was changed.
        """

        def send(limits: Mapping[str, float]) -> list[str]:
            operations = [_operation(change, row) for change, row in changes]
            if len(operations) == 1:
                name, row, options = operations[0]
                answer = getattr(self._client, f"{name}_entity")(row, **options, **limits)
                answers = [answer or {}]
            else:
                answers = self._client.submit_transaction(operations, **limits)
            return [str(answer.get("etag") or "") for answer in answers]

        outcome = self._repeated(send, give_up_at)
        if isinstance(outcome, Refusal) and outcome.reason is Reason.NO_TABLE:
            self.make_table(give_up_at=give_up_at)
            return self._repeated(send, give_up_at)
        return outcome

    def make_table(self, *, give_up_at: float | None = None) -> None:
        """Make the table, unless it is there by now."""

        def send(limits: Mapping[str, float]) -> None:
            try:
                self._client.create_table(**limits)
            except ResourceExistsError as error:
                # The name of a table that is being deleted is also taken.
                if _code(error) != "TableAlreadyExists":
                    raise

        if isinstance(self._repeated(send, give_up_at), Refusal):
            raise StoreUnavailableError(self._setting, "its table cannot be made")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _repeated(
        self, send: Callable[[Mapping[str, float]], T], give_up_at: float | None
    ) -> T | Refusal:
        """Send until there is an answer that counts, or the time is over."""
        if give_up_at is None:
            give_up_at = monotonic() + self._call_limit_s
        cause = "its time was over"
        was_repeated = False
        for pause_s in (0.0, *_PAUSES_S):
            left_s = give_up_at - monotonic() - pause_s
            if left_s < _LEAST_LEFT_S:
                break
            sleep(pause_s)
            try:
                return send(
                    {
                        "connection_timeout": min(_CONNECT_LIMIT_S, left_s),
                        "read_timeout": min(_READ_LIMIT_S, left_s),
                    }
                )
            except (AzureError, OSError, HTTPError, AttributeError) as raised:
                error = _underlying(raised)
                reason = _reason(error)
                if reason is not None:
                    return Refusal(reason, was_repeated)
                cause = _cause(error)
                if not _may_pass(error):
                    break
            was_repeated = True
        # The library's own message may quote the URL, which holds a shared access signature.
        raise StoreUnavailableError(self._setting, cause) from None


def _transport(threads: int, ca_file: str | None) -> RequestsTransport:
    session = requests.Session()
    # Neither proxies nor credentials come out of the environment, as for all requests we send.
    session.trust_env = False
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=threads)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return RequestsTransport(session=session, connection_verify=ca_file or True)


def _credential(identity: AccountIdentity) -> TokenCredential:
    """Return what fetches tokens, as the platform's own identity-based connections choose it."""
    # Imported here: an account with a key needs none of it, and it is the largest part.
    from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415

    limits: dict[str, Any] = {
        "connection_timeout": _CONNECT_LIMIT_S,
        "read_timeout": _READ_LIMIT_S,
        "retry_total": 1,
    }
    if identity.managed:
        return ManagedIdentityCredential(client_id=identity.client_id, **limits)
    if identity.client_id is None:
        return DefaultAzureCredential(process_timeout=5, **limits)
    return DefaultAzureCredential(
        managed_identity_client_id=identity.client_id, process_timeout=5, **limits
    )


def _operation(
    change: Change, row: Mapping[str, object]
) -> tuple[str, Mapping[str, object], dict[str, Any]]:
    """Return a change as the library names it: operation, entity, options."""
    match change:
        case Insert():
            # Without it the service sends the whole row back.
            return "create", row, {"response_preference": "return-no-content"}
        case Replace(etag=etag):
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return "update", row, {"mode": UpdateMode.REPLACE, **condition}
        case Remove(etag=""):
            return "delete", row, {}
        case Remove(etag=etag):
            condition = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return "delete", row, condition
        case _:
            return "upsert", row, {"mode": UpdateMode.REPLACE}


def _underlying(raised: Exception) -> Exception:
    """Return what went wrong where the library stumbled over it.

    It looks for the headers of an answer also where the answer broke off and there is none
    (azure-data-tables 12.7.0, ``create_entity``).
    """
    if not isinstance(raised, AttributeError):
        return raised
    if not isinstance(raised.__context__, AzureError):
        raise raised
    return raised.__context__


def _reason(error: Exception) -> Reason | None:
    """Return why the service refused, or None where it did not refuse but failed."""
    if not isinstance(error, HttpResponseError):
        return None
    code = _code(error)
    if code == "TableNotFound":
        return Reason.NO_TABLE
    if error.status_code == 404:
        return Reason.NO_ROW
    if error.status_code == 412 or code == "EntityAlreadyExists":
        return Reason.CONFLICT
    return None


def _code(error: HttpResponseError) -> str:
    """Return the service's own name of an error; empty where it gave none."""
    # A refused insert is raised without it, so it is read from the answer.
    code = getattr(error, "error_code", None)
    if code is None and error.response is not None:
        try:
            code = json.loads(error.response.text())["odata.error"]["code"]
        except (ValueError, KeyError, TypeError):
            return ""
    return str(getattr(code, "value", code or ""))


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ClientAuthenticationError):
        return False
    if isinstance(error, HttpResponseError) and not isinstance(error, DecodeError):
        return error.status_code is None or error.status_code in _PASSING_STATUSES
    return True


def _cause(error: Exception) -> str:
    """Return a failure without anything of what was sent or answered."""
    if isinstance(error, HttpResponseError) and error.status_code:
        return f"{error.status_code} {_code(error)}".strip()
    inner = getattr(error, "inner_exception", None)
    return type(error if inner is None else inner).__name__
