"""Requests to one table of a storage account, each within a limit of time.

Only the first use of a store imports this: the libraries cost a tenth of a second and more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import IncompleteReadError, ResourceExistsError
from azure.data.tables import TableClient, UpdateMode

from invoke_core.adapters.storage_answers import CALL_LIMIT_S, Reason, Refusal
from invoke_core.adapters.storage_requests import (
    NO_RETRIES,
    Attempts,
    error_code,
    find_credential,
    make_transport,
)
from invoke_core.adapters.table_answers import PAGE_ROWS, Page
from invoke_core.errors import StoreUnavailableError
from invoke_core.model import Secret
from invoke_core.ports import Insert, Remove, Replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from azure.core.credentials import TokenCredential
    from azure.core.exceptions import HttpResponseError

    from invoke_core.model import StorageAccount
    from invoke_core.ports import Change


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
        self._attempts = Attempts(self._setting, call_limit_s=call_limit_s, reason=_reason)
        options: dict[str, Any] = {
            "table_name": table,
            "transport": make_transport(threads, ca_file),
            **NO_RETRIES,
        }
        try:
            if isinstance(account.access, Secret):
                text = account.access.reveal()
                self._client = TableClient.from_connection_string(text, **options)
            else:
                self._client = TableClient(
                    account.access.table_uri,
                    credential=credential or find_credential(account.access),
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

        return self._attempts.run(send, give_up_at)

    def row(self, partition_key: str, row_key: str) -> Any | Refusal:  # noqa: ANN401  # the library's own entity
        """Return one row by its keys, with its properties and ``metadata``."""

        def send(limits: Mapping[str, float]) -> Any:  # noqa: ANN401  # likewise
            fetch: Any = self._client.get_entity
            return fetch(partition_key, row_key, **limits)

        return self._attempts.run(send)

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
            etags = [str(answer.get("etag") or "") for answer in answers]
            # A head that broke off is taken for whole, with half an ETag, or none, in it.
            whole = [
                name == "delete" or etag.endswith('"')
                for etag, (name, *_) in zip(etags, operations, strict=False)
            ]
            if not all(whole) or len(etags) != len(operations):
                raise IncompleteReadError("The answer lacks the ETag of a row.")
            return etags

        outcome = self._attempts.run(send, give_up_at)
        if isinstance(outcome, Refusal) and outcome.reason is Reason.NO_TABLE:
            self.make_table(give_up_at=give_up_at)
            return self._attempts.run(send, give_up_at)
        return outcome

    def make_table(self, *, give_up_at: float | None = None) -> None:
        """Make the table, unless it is there by now."""

        def send(limits: Mapping[str, float]) -> None:
            try:
                self._client.create_table(**limits)
            except ResourceExistsError as error:
                # The name of a table that is being deleted is also taken.
                if error_code(error) != "TableAlreadyExists":
                    raise

        if isinstance(self._attempts.run(send, give_up_at), Refusal):
            raise StoreUnavailableError(self._setting, "its table cannot be made")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


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


def _reason(error: HttpResponseError) -> Reason | None:
    code = error_code(error)
    if code == "TableNotFound":
        return Reason.NO_TABLE
    if error.status_code == 404:
        return Reason.NO_ROW
    if error.status_code == 412 or code == "EntityAlreadyExists":
        return Reason.CONFLICT
    return None
