"""What requests to tables and queues share: connections, identities, bounded repetitions.

Only the first use of a store or a queue imports this: the libraries cost a tenth of a second and
more.
"""

from __future__ import annotations

import json
import logging
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any, Final

import requests
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
)
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from invoke_core.adapters.storage_answers import Reason, Refusal
from invoke_core.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeVar

    from azure.core.credentials import TokenCredential

    from invoke_core.model import AccountIdentity

    T = TypeVar("T")

_CONNECT_LIMIT_S: Final = 3.0
_READ_LIMIT_S: Final = 5.0
_PAUSES_S: Final = (0.1, 0.6)
_LEAST_LEFT_S: Final = 0.5
_PASSING_STATUSES: Final = frozenset({408, 429, 500, 502, 503, 504})

# Each request would be a page of the log otherwise, and an empty queue is asked every two seconds.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)

NO_RETRIES: Final[Mapping[str, Any]] = {"retry_total": 0}
"""What a client of the libraries is made with.

Attempts are counted here instead: a library would sleep as long as an answer's Retry-After says,
and would not tell that an attempt went unanswered.
"""


class Attempts:
    """Sends a request until there is an answer that counts, or the time is over."""

    def __init__(
        self,
        setting: str,
        *,
        call_limit_s: float,
        reason: Callable[[HttpResponseError], Reason | None],
        part: str = "",
    ) -> None:
        """Keep what they have in common.

        Args:
            setting: The setting that names the account.
            call_limit_s: Seconds after which a call has failed.
            reason: Tells why the service refused, or None where it did not refuse but failed.
            part: What of the account it is, put before the cause of a failure.
        """
        self._setting = setting
        self._call_limit_s = call_limit_s
        self._reason = reason
        self._part = part

    def run(
        self, send: Callable[[Mapping[str, float]], T], give_up_at: float | None = None
    ) -> T | Refusal:
        """Return what came of it.

        Args:
            send: Sends it once, within the limits it gets, which are options of the libraries.
            give_up_at: On the monotonic clock; None for the limit of a call from now.

        Raises:
            StoreUnavailableError: There is no such answer; the request may have taken place.
        """
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
            except Exception as raised:  # noqa: BLE001  # a broken answer is no closed list to them
                error = _underlying(raised)
                reason = self._reason(error) if isinstance(error, HttpResponseError) else None
                if reason is not None:
                    return Refusal(reason, was_repeated)
                cause = _cause(error)
                if not _may_pass(error):
                    break
            was_repeated = True
        # The library's own message may quote the URL, which holds a shared access signature.
        raise StoreUnavailableError(self._setting, self._part + cause) from None


def make_transport(threads: int, ca_file: str | None) -> RequestsTransport:
    """Return connections for as many threads.

    Args:
        threads: How many connections to keep.
        ca_file: Certificates to trust instead of the usual ones.
    """
    session = requests.Session()
    # Neither proxies nor credentials come out of the environment, as for all requests we send.
    session.trust_env = False
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=threads)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return RequestsTransport(session=session, connection_verify=ca_file or True)


def find_credential(identity: AccountIdentity) -> TokenCredential:
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


def error_code(error: HttpResponseError) -> str:
    """Return the service's own name of an error; empty where it gave none."""
    # A refused insert is raised without it, so it is read from the answer.
    code = getattr(error, "error_code", None)
    if code is None and error.response is not None:
        try:
            code = json.loads(error.response.text())["odata.error"]["code"]
        except (ValueError, KeyError, TypeError):
            return ""
    return str(getattr(code, "value", code or ""))


def _underlying(raised: Exception) -> Exception:
    """Return what went wrong where the library stumbled over it.

    Of an answer that broke off within its head it takes apart what there is: it looks for headers
    where there are none, reads half a date, and counts too few parts (azure-data-tables 12.7.0).
    """
    error: BaseException | None = raised
    while error is not None:
        if isinstance(error, (AzureError, OSError, HTTPError)):
            return error
        error = error.__context__
    return raised


def _may_pass(error: Exception) -> bool:
    if isinstance(error, ClientAuthenticationError):
        return False
    if isinstance(error, HttpResponseError) and not isinstance(error, DecodeError):
        return error.status_code is None or error.status_code in _PASSING_STATUSES
    return True


def _cause(error: Exception) -> str:
    """Return a failure without anything of what was sent or answered."""
    if isinstance(error, HttpResponseError) and error.status_code:
        return f"{error.status_code} {error_code(error)}".strip()
    inner = getattr(error, "inner_exception", None)
    return type(error if inner is None else inner).__name__
