"""TLS as a service connection asks for it.

Source: HTTP contract, section 7 (``tls``), section 4 (``tlsFailed``).
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING, Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH

if TYPE_CHECKING:
    from invoke_core.connections import TlsOptions

_NO_ISSUER: Final = (
    "shows a certificate whose issuer is not trusted here; give the issuer's certificate to the"
    " service connection as tls.caBundle, or have the target send the certificates between"
)
_OTHER_NAME: Final = (
    "shows a certificate for another host; use the name it was issued for, or have it issued for"
    " this one"
)
_BAD_CERTIFICATES: Final = {
    2: _NO_ISSUER,
    9: "shows a certificate that is not valid yet; check its dates, and the clock here",
    10: "shows a certificate that has expired; it has to be renewed there",
    18: (
        "shows a self-signed certificate; give it to the service connection as tls.caBundle, if"
        " it is the right one"
    ),
    19: _NO_ISSUER,
    20: _NO_ISSUER,
    21: _NO_ISSUER,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
"""OpenSSL's results of a verification (``X509_V_ERR_*`` in its ``x509_vfy.h``)."""

_CLIENT_CERTIFICATE_NEEDED: Final = (
    "requires a client certificate; give one to the service connection as tls.clientCertificate"
)
_CLIENT_CERTIFICATE_REFUSED: Final = (
    "refused the client certificate of the service connection; check that it is valid, and issued"
    " by whom the target trusts"
)
_TOO_OLD: Final = "speaks neither TLS 1.2 nor 1.3, and what is older is not safe"
_NO_TLS: Final = "does not speak TLS on this port; check whether the URL should begin with http://"
_REASONS: Final = (
    ("CERTIFICATE_REQUIRED", _CLIENT_CERTIFICATE_NEEDED),
    ("ALERT_UNKNOWN_CA", _CLIENT_CERTIFICATE_REFUSED),
    ("ALERT_BAD_CERTIFICATE", _CLIENT_CERTIFICATE_REFUSED),
    ("ALERT_UNSUPPORTED_CERTIFICATE", _CLIENT_CERTIFICATE_REFUSED),
    ("ALERT_CERTIFICATE_", _CLIENT_CERTIFICATE_REFUSED),
    ("ALERT_ACCESS_DENIED", _CLIENT_CERTIFICATE_REFUSED),
    (
        "ALERT_HANDSHAKE_FAILURE",
        (
            "refused the TLS handshake: it requires another client certificate than the service"
            " connection's tls.clientCertificate (or any), or no cipher is common to both sides"
        ),
    ),
    ("PROTOCOL_VERSION", _TOO_OLD),
    ("UNSUPPORTED_PROTOCOL", _TOO_OLD),
    ("VERSION_TOO_LOW", _TOO_OLD),
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("RECORD_LAYER_FAILURE", _NO_TLS),
    ("PACKET_LENGTH_TOO_LONG", _NO_TLS),
    ("HTTP_REQUEST", _NO_TLS),
)
"""Parts of the names OpenSSL gives its errors, which differ a little between its versions."""


class TlsFilesError(Exception):
    """A file of the TLS options cannot be used; the message is a sentence."""


class TlsContexts:
    """The TLS contexts of all connections, each made once.

    Making one reads and parses more than a hundred certificates. A context is never changed after
    it was made: OpenSSL forbids it once connections use it.
    """

    def __init__(self) -> None:
        """Make none yet."""
        self._lock = threading.Lock()
        self._made: dict[TlsOptions, ssl.SSLContext] = {}

    def get(self, options: TlsOptions) -> ssl.SSLContext:
        """Return the context for some options.

        Raises:
            TlsFilesError: A file they name cannot be used.
        """
        with self._lock:
            context = self._made.get(options)
            if context is None:
                context = self._made[options] = _make(options)
            return context


def _make(options: TlsOptions) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if options.verify:
        try:
            context.load_verify_locations(options.ca_bundle or DEFAULT_CA_BUNDLE_PATH)
        except (OSError, ValueError):
            raise TlsFilesError(
                "The service connection's tls.caBundle cannot be read as PEM certificates."
            ) from None
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if options.client_certificate is not None:
        try:
            # A password is given so that an encrypted key fails instead of asking on a terminal.
            context.load_cert_chain(options.client_certificate, password="")
        except (OSError, ValueError):
            raise TlsFilesError(
                "The service connection's tls.clientCertificate cannot be read as a PEM"
                " certificate with its unencrypted key."
            ) from None
    return context


def explanation(error: ssl.SSLError, *, has_client_certificate: bool) -> str:
    """Tell why TLS failed, and what mends it.

    Args:
        error: As raised by a handshake, or by reading while no answer has come: TLS 1.3 refuses a
            client certificate only after the handshake (RFC 8446, section 4.4.2.4).
        has_client_certificate: Whether we have a certificate to show.

    Returns:
        The rest of a sentence that begins with the target's name.
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _BAD_CERTIFICATES.get(error.verify_code)
        return f"{known or f'shows a bad certificate ({error.verify_message})'}."
    reason = (error.reason or "no reason given").upper().replace(" ", "_")
    known = next((sentence for part, sentence in _REASONS if part in reason), None)
    if known is _CLIENT_CERTIFICATE_REFUSED and not has_client_certificate:
        known = _CLIENT_CERTIFICATE_NEEDED
    words = reason.lower().replace("_", " ")
    return f"{known} ({words})." if known else f"failed in TLS ({words})."
