"""Why there is no token, and what mends it.

What an issuer says is never passed on: it may quote a secret. Codes that are known are, with a
sentence of ours.

Source: HTTP contract, section 4 (``credentialFailed``); the AADSTS codes of Microsoft Entra ID;
RFC 6749, section 5.2.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from invoke_core.connections import AzureCliAuth, ManagedIdentityAuth, ServicePrincipalAuth
from invoke_core.errors import SendError
from invoke_core.model import Effect, ReasonCode

if TYPE_CHECKING:
    from invoke_core.connections import Connection, FetchedAuth

_CODE: Final = re.compile(r"AADSTS(\d{4,8})\b")

_CONSENT: Final = (
    "the application was not given consent, or a role, for auth.scope; an administrator of the"
    " tenant has to grant it"
)
_SCOPE: Final = (
    "auth.scope is not one it knows; it is an audience with /.default at its end, such as"
    " api://my-api/.default"
)
_CERTIFICATE: Final = (
    "the certificate is not one of the application's; upload its public half to the application,"
    " or give the service connection the right one"
)
_ENTRA_CODES: Final = {
    "7000222": (
        "the client secret has expired; make a new one for the application, and put it into the"
        " setting that auth.clientSecret refers to"
    ),
    "7000215": (
        "the client secret is wrong; auth.clientSecret takes the secret's value, not its id, and"
        " the application of auth.clientId has to be its owner"
    ),
    "700016": (
        "the tenant has no application with this id; check auth.clientId and auth.tenantId, and"
        " that the cloud (authority, environment) is the right one"
    ),
    "90002": "there is no such tenant; check auth.tenantId, and that the cloud is the right one",
    "900023": "auth.tenantId is no tenant; give its id or one of its domains",
    "700027": _CERTIFICATE,
    "65001": _CONSENT,
    "500011": (
        "the tenant does not know whom the token is for; check auth.scope, the audience and the"
        " environment, and whether the API's application was given consent in this tenant"
    ),
    "501051": _CONSENT,
    "70011": _SCOPE,
    "1002012": _SCOPE,
    "53003": "a Conditional Access policy of the tenant blocks the application",
}
_OAUTH_CODES: Final = {
    "invalid_client": "check auth.clientId and auth.clientSecret; the secret may have expired",
    "unauthorized_client": "the client is not allowed the grant client_credentials there",
    "unsupported_grant_type": "it does not offer the grant client_credentials",
    "invalid_scope": "check auth.scope",
    "invalid_target": "check auth.audience and auth.scope",
    "access_denied": "the client was not given access; check auth.audience and auth.scope",
    "invalid_grant": "the client was not given access; check auth.audience and auth.scope",
    "invalid_request": "check which of auth.scope and auth.audience it wants to be given",
    "temporarily_unavailable": "try again later",
    "server_error": "try again later",
}


def credential_failed(connection: Connection, why: str) -> SendError:
    """Return the error that there is no token; the target was sent nothing.

    Args:
        connection: Whose credential it is.
        why: The rest of a sentence, without its full stop, that holds no secret.
    """
    return SendError(
        f"No token could be had for the service connection '{connection.name}': {why}.",
        code=ReasonCode.CREDENTIAL_FAILED,
        effect=Effect.NONE,
    )


def reason(auth: FetchedAuth, *, said: str, place: str, status: int | None) -> str:
    """Return why an issuer gave no token.

    Args:
        auth: The credential.
        said: What it or the library said; looked through for known words only.
        place: Host and port that answered last; empty where none did.
        status: The status of its answer; None where there was none.

    Returns:
        The rest of a sentence, without its full stop.
    """
    code = _CODE.search(said)
    if code is not None:
        hint = _ENTRA_CODES.get(code[1], "Microsoft's list of AADSTS codes says what it means")
        return f"{place or 'Entra ID'} refused ({code[0]}): {hint}"
    match auth:
        case ManagedIdentityAuth():
            return _identity_reason(auth, said=said, status=status)
        case AzureCliAuth():
            return _cli_reason(said)
        case ServicePrincipalAuth() if status is None:
            return (
                "the credential cannot be used; auth.certificate takes a PEM file with the"
                " certificate and its unencrypted RSA key, auth.tenantId and auth.authority what"
                " Entra ID knows"
            )
        case _:
            known = re.search(rf"\b({'|'.join(_OAUTH_CODES)})\b", said)
            if known is not None and status != 200:
                return f"{place} refused ({known[1]}): {_OAUTH_CODES[known[1]]}"
            return f"{place} answered {status}, and not with a token"


def cli_too_late(timeout_s: float) -> str:
    """Return why there is no token where the Azure CLI gave no answer in time.

    Args:
        timeout_s: The seconds it had.

    Returns:
        The rest of a sentence, without its full stop.
    """
    return (
        f"the Azure CLI (az) did not answer within the {timeout_s:.3g} s that were left for the"
        " request (API_RESPONSE_TIMEOUT_SECONDS)"
    )


def _identity_reason(auth: ManagedIdentityAuth, *, said: str, status: int | None) -> str:
    if status is None:
        return (
            "there is no managed identity here; it exists on Azure, once it is turned on for the"
            " app (for work on your own machine there is azureCli)"
        )
    if status in {400, 403, 404} or "dentity not found" in said:
        which = (
            "assign the user-assigned identity whose client id is auth.clientId to the app"
            if auth.client_id
            else "turn the app's system-assigned identity on, or name a user-assigned one in"
            " auth.clientId"
        )
        return (
            f"the platform has no such identity for this app, or not for auth.scope (status"
            f" {status}); {which}"
        )
    return f"the platform's identity endpoint answered {status}, and not with a token"


def _cli_reason(said: str) -> str:
    if "not found on path" in said:
        return "the Azure CLI (az) is not installed here"
    if "az login" in said:
        return "nobody is signed in to the Azure CLI here; run az login"
    return (
        "the Azure CLI gave none; 'az account get-access-token' with the audience of auth.scope"
        " shows why"
    )
