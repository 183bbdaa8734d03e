"""Tokens of Microsoft Entra ID, by azure-identity.

The library decides what is asked; our own ``Sender`` carries it, so that the deadline, the
address guard, the limits of bytes and the connection's ``tls`` hold for token calls too, and
nothing of the environment (proxies, netrc) has a say. Imported on first use only: the packages
below cost a tenth of a second and 20 MiB.

Source: HTTP contract, section 7 (``auth.scheme``).
"""

from __future__ import annotations

import io
import logging
import subprocess
import time
from typing import TYPE_CHECKING, Any, Final

import requests
import urllib3
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import (
    AzureCliCredential,
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)
from requests.adapters import HTTPAdapter

from invoke_core.adapters.token_calls import NoTokenError, checked
from invoke_core.adapters.token_failures import cli_too_late, reason
from invoke_core.connections import AzureCliAuth, ManagedIdentityAuth, ServicePrincipalAuth
from invoke_core.model import Method, OutgoingRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials import TokenCredential

    from invoke_core.adapters.token_calls import Token, TokenCalls

_OURS: Final = frozenset({"accept-encoding", "connection", "content-length", "host"})
"""Request headers that the sender sets itself."""
_UNDONE: Final = frozenset({"content-encoding", "content-length", "transfer-encoding"})
"""Headers of an answer that no longer hold once the sender has read it."""
_RETRIES: Final = {"retry_total": 2, "retry_status": 2, "retry_backoff_factor": 0.4}

# They log what issuers say and, when asked for more, what they are told. What may be known of a
# failure is in the invocation; the rest is nobody's.
for _name in ("azure.identity", "msal"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def azure_token(
    auth: ManagedIdentityAuth | ServicePrincipalAuth | AzureCliAuth, calls: TokenCalls
) -> Token:
    """Fetch a token, a new one each time: what the libraries remember ends with this call.

    Args:
        auth: What to ask with.
        calls: Sends the requests.

    Raises:
        NoTokenError: There is none.
    """
    try:
        with _OwnTransport(calls) as transport:
            found = _credential(auth, transport, calls).get_token(auth.scope)
    except Exception as error:  # noqa: BLE001  # what two libraries raise is no closed list
        if calls.failure is not None and calls.status is None:
            raise NoTokenError(_unanswered(auth, calls.failure)) from None
        if isinstance(error.__cause__, subprocess.TimeoutExpired):
            raise NoTokenError(cli_too_late(calls.timeout_s)) from None
        why = reason(auth, said=f"{error} {calls.said}", place=calls.place, status=calls.status)
        raise NoTokenError(why) from None
    return checked(found.token, found.expires_on - time.time(), place=calls.place or "the CLI")


def _credential(
    auth: ManagedIdentityAuth | ServicePrincipalAuth | AzureCliAuth,
    transport: RequestsTransport,
    calls: TokenCalls,
) -> TokenCredential:
    options: dict[str, Any] = {"transport": transport, **_RETRIES}
    match auth:
        case ManagedIdentityAuth():
            return ManagedIdentityCredential(client_id=auth.client_id, **options)
        case AzureCliAuth():
            # At its end the library kills the process it started, and waits for that one only.
            # Where az is a shell script, as the packages make it, the interpreter below it is none
            # of ours to end: it goes on until it has done its work, or writes into the closed pipe.
            return AzureCliCredential(process_timeout=calls.left_s())  # type: ignore[arg-type]  # parts of a second do
        case ServicePrincipalAuth():
            # An administrator named the authority, so nobody else is asked whether it is one.
            options |= {"authority": auth.authority, "disable_instance_discovery": True}
            if auth.client_secret is None:
                return CertificateCredential(
                    auth.tenant_id, auth.client_id, certificate_path=auth.certificate, **options
                )
            return ClientSecretCredential(
                auth.tenant_id, auth.client_id, auth.client_secret.reveal(), **options
            )


def _unanswered(auth: object, failure: str) -> str:
    if isinstance(auth, ManagedIdentityAuth):
        return (
            f"{failure} (managed identities exist on Azure only; for work on your own machine"
            " there is azureCli)"
        )
    return failure


class _OwnTransport(RequestsTransport):  # type: ignore[misc]  # a lazy export, untyped
    """The transport azure-identity is given."""

    def __init__(self, calls: TokenCalls) -> None:
        session = requests.Session()
        session.trust_env = False
        adapter = _OwnAdapter(calls)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        super().__init__(session=session, use_env_settings=False)
        self._calls = calls

    def sleep(self, duration: float) -> None:
        """Wait before another try, if there will be time for one."""
        if duration >= self._calls.left_s():
            raise NoTokenError("no time is left for another try")
        time.sleep(duration)


class _OwnAdapter(HTTPAdapter):
    """Hands the requests of a session to our own sender."""

    def __init__(self, calls: TokenCalls) -> None:
        super().__init__()
        self._calls = calls

    def send(  # noqa: PLR0917  # the signature is the library's
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002
        timeout: float | tuple[float, float] | tuple[float, None] | None = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        del stream, timeout, verify, cert, proxies  # ours are the connection's
        body = request.body
        answer = self._calls.send(
            OutgoingRequest(
                method=Method(request.method or ""),
                url=request.url or "",
                headers=tuple(
                    (name, value)
                    for name, value in request.headers.items()
                    if name.lower() not in _OURS
                ),
                body=body.encode() if isinstance(body, str) else body,
            )
        )
        headers = urllib3.HTTPHeaderDict(
            (name, value) for name, value in answer.headers if name.lower() not in _UNDONE
        )
        return self.build_response(
            request,
            urllib3.HTTPResponse(
                body=io.BytesIO(answer.body),
                status=answer.status,
                headers=headers,
                preload_content=False,
                request_method=request.method,
            ),
        )
