"""Settings: what is wrong with them is a settings error that names them and holds no value.

An input is a list of settings, ``NAME=value``, with zero bytes between them; what is called
``local.settings.json`` is the content of that file. ``{secret}`` stands for a secret value.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fuzz.draw import Target
from invoke_core.errors import SettingsError
from invoke_core.model import Secret, StorageAccount
from invoke_core.settings import account_setting, read_account, read_settings
from invoke_core.settings.local_file import LOCAL_SETTINGS_FILE, read_local_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from invoke_core.settings import Settings

SECRET: Final = "s3cret!pä$$-w0rd"  # made up
_DEFINITION: Final = b'SERVICE_CONNECTIONS={"demo":{"url":"https://api.example.com/v1",'
_URL: Final = b'"https://api.example.com/{secret}?sig={secret}&x=${KEY}"'

SEEDS: Final[tuple[bytes, ...]] = (
    b"",
    _DEFINITION + b'"auth":{"scheme":"basic","username":"u","password":"{secret}"}}}',
    _DEFINITION + b'"auth":{"scheme":"bearer","token":"${KEY}"}}}\0KEY={secret}',
    _DEFINITION + b'"auth":{"scheme":"header","name":"X-Key","value":"{secret}"},"storeBody":1}}',
    _DEFINITION + b'"auth":{"scheme":"oauth2ClientCredentials","tokenUrl":' + _URL + b',"clientId":'
    b'"c","clientSecret":"{secret}","scope":"s","audience":"a"}}}\0KEY={secret}',
    (
        b'SERVICE_CONNECTIONS={"a":{"type":"azureResourceManager","environment":"AzureCloud","auth":'
        b'{"scheme":"servicePrincipal","tenantId":"t","clientId":"c","clientSecret":"{secret}"}},'
        b'"b":{"type":"azureDevOps","url":"https://dev.azure.com/o","auth":{"scheme":'
        b'"managedIdentity","clientId":"c"}},"B":null}'
    ),
    b'SERVICE_CONNECTIONS={"a":{"type":"azureResourceManager","resourceManagerEndpoint":'
    + _URL
    + b","
    b'"audience":"{secret}","authority":"https://login.example.com","auth":{"scheme":"azureCli"}}}',
    b'SERVICE_CONNECTIONS={"a":{"url":' + _URL + b',"allow":{"methods":["GET","{secret}"],"paths":'
    b'["/{secret}/**","x"],"callers":["c"],"redirects":"none","loopback":true},"tls":{"caBundle":'
    b'"ca.pem","clientCertificate":"{secret}","verify":false},"limits":{"concurrency":4,'
    b'"perMinute":"{secret}"},"proxy":"http://u:{secret}@proxy.example:3128"}}',
    (
        b'SERVICE_CONNECTIONS={"a":{"url":"http://h","proxy":"environment"}}\0HTTP_PROXY=http://u:'
        b"{secret}@h:1\0HTTPS_PROXY=socks5://u:{secret}@h\0NO_PROXY=.example.com,10.0.0.0/8"
    ),
    b"SERVICE_CONNECTIONS={secret}",
    (
        b"API_RESPONSE_TIMEOUT_SECONDS=20\0MAX_RESPONSE_BYTES=1\0MAX_CONCURRENT_INVOCATIONS=10000\0"
        b"MAX_BUFFERED_BYTES=1099511627776\0PYTHON_THREADPOOL_THREAD_COUNT=9\0RETENTION_DAYS=3650"
    ),
    b"API_RESPONSE_TIMEOUT_SECONDS=0\0RETENTION_DAYS={secret}\0PUBLIC_BASE_URL=http://{secret}",
    b"InvokeStorage=AccountName=abc;AccountKey={secret};EndpointSuffix=core.windows.net",
    b"InvokeStorage=AccountName=abc;AccountKey=c2VjcmV0;DefaultEndpointsProtocol=https",
    (
        b"AzureWebJobsStorage=TableEndpoint=https://t;QueueEndpoint=https://q;SharedAccessSignature="
        b"sig={secret}\0WEBSITE_SITE_NAME=x"
    ),
    (
        b"InvokeStorage__accountName=abc\0InvokeStorage__credential=managedidentity\0"
        b"InvokeStorage__clientId=00000000-0000-0000-0000-000000000000"
    ),
    b"InvokeStorage__tableServiceUri=https://u:{secret}@t/\0InvokeStorage__queueServiceUri=q?{secret}",
    b"InvokeStorage=sqlite:///data/x.db\0PUBLIC_BASE_URL=https://invoke.example.com/",
    b"STATE_KEY={secret}\0STATE_KEY_PREVIOUS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    b"STATE_KEY=@Microsoft.KeyVault(SecretUri=https://v/{secret})\0WEBSITE_HOSTNAME=localhost:7071",
    b'local.settings.json={"IsEncrypted":false,"Values":{"A":"{secret}","B":"{secret}"}}',
    b'local.settings.json={"Values":{"A":["{secret}"],"B":1}}',
    b'local.settings.json={"IsEncrypted":true,"Values":{"A":"{secret}"}} {secret}',
)
TOKENS: Final[tuple[bytes, ...]] = (
    *(
        b"\0",
        b"=",
        b"{secret}",
        b"${KEY}",
        b"${MISSING}",
        b"${",
        b"}",
        b'"',
        b",",
        b":",
        b"{",
        b"[",
    ),
    *(b"null", b"true", b"false", b"0", b"-1", b"1e3", b"1.0", b"99999", b"9" * 400, b"[" * 99),
    *(b'"type":', b'"url":', b'"auth":', b'"allow":', b'"tls":', b'"proxy":', b'"limits":'),
    *(b'"scheme":', b'"username":', b'"password":', b'"token":', b'"name":', b'"value":'),
    *(b'"scope":', b'"authority":', b'"audience":', b'"certificate":', b'"environment":'),
    *(b'"generic"', b'"azureDevOps"', b'"azureResourceManager"', b'"AzureUSGovernment"', b'"none"'),
    *(b"http://", b"https://", b"@", b"?", b"#", b"\\\\", b"\\u0000", b"\\ud800", b"\\n", b"[::1]"),
    *(b":0", b":65536", b"sqlite:///", b"sqlite:", b"UseDevelopmentStorage=true", b";", b";;"),
    *(b"AccountName=", b"AccountKey=", b"TableEndpoint=", b"QueueEndpoint=", b"=="),
    *(
        b"\0KEY=",
        b"\0WEBSITE_SITE_NAME=x",
        b"\0WEBSITE_HOSTNAME=",
        b"\0InvokeStorage=",
        b"\0STATE_KEY=",
    ),
    *(
        b"@Microsoft.KeyVault(",
        b"\xd9\xa1",
        b"\xc2\xb2",
        b"\xff",
        b"\xef\xbb\xbf",
        b" ",
        b"\t",
        b"\n",
    ),
    *(
        b"connections.json",
        b"ca.pem",
        b"../",
        b"/dev/null",
        b"a" * 300,
        b'"Values":',
        b"\xe2\x80\xa8",
    ),
)

_NUMBERS: Final = {
    "API_RESPONSE_TIMEOUT_SECONDS": "api_response_timeout_s",
    "MAX_RESPONSE_BYTES": "max_response_bytes",
    "MAX_CONCURRENT_INVOCATIONS": "max_concurrent",
    "MAX_BUFFERED_BYTES": "max_buffered_bytes",
    "PYTHON_THREADPOOL_THREAD_COUNT": "threads",
}
_NAMES: Final = re.compile(
    "SERVICE_CONNECTIONS|PUBLIC_BASE_URL|RETENTION_DAYS|STATE_KEY(_PREVIOUS)?|"
    "(InvokeStorage|AzureWebJobsStorage)"
    "(__(accountName|credential|clientId|tableServiceUri|queueServiceUri))?|" + "|".join(_NUMBERS)
)
_LIMIT_S: Final = 1.0
"""Time of the processor; a hundred times what the slowest seed takes."""


def run(data: bytes) -> None:
    """Read the settings of an input in every way the app does."""
    text = data.decode("utf-8", "surrogateescape").replace("{secret}", SECRET)
    environ = dict(part.partition("=")[::2] for part in text.split("\0") if "=" in part)
    local = environ.pop(LOCAL_SETTINGS_FILE, None)
    started_s = time.thread_time()
    told = [*_told_of_settings(environ), *_told_of_account(environ), *_told_of_file(local)]
    assert time.thread_time() - started_s < _LIMIT_S, "too much time"
    names = (*environ, *_members(environ.get("SERVICE_CONNECTIONS", "")), *_members(local or ""))
    # Names are quoted, and so is the name of a setting that is referred to.
    if not any(SECRET in name for name in names):
        judge_told(told)


def judge_told(told: Iterable[str]) -> None:
    """Find a secret in what people get to read.

    Raises:
        AssertionError: There is one.
    """
    assert not any(form in text for text in told for form in (SECRET, repr(SECRET)[1:-1])), (
        "a secret"
    )


def judge_error(error: SettingsError, names: re.Pattern[str]) -> list[str]:
    """Return what an error tells; each fault has to be of a setting there is, and named.

    Raises:
        AssertionError: It is not.
    """
    assert error.faults, "no fault"
    for fault in error.faults:
        assert names.fullmatch(fault.pointer), "a setting that does not exist"
        assert fault.pointer in error.message, "a setting that is not named"
        assert fault.detail, "no sentence"
    return [str(error), repr(error), *(fault.detail for fault in error.faults)]


def judge_numbers(environ: dict[str, str], settings: Settings) -> None:
    """Find a number that is not the one which was set.

    Raises:
        AssertionError: There is one.
    """
    for name, attribute in _NUMBERS.items():
        written = environ.get(name, "").strip()
        assert not written or getattr(settings, attribute) == int(written), "another number"


def _told_of_settings(environ: dict[str, str]) -> Iterator[str]:
    try:
        settings = read_settings(environ, root=_root())
    except SettingsError as error:
        yield from judge_error(error, _NAMES)
        return
    judge_numbers(environ, settings)
    yield from settings.warnings
    if isinstance(settings.store, StorageAccount) and isinstance(settings.store.access, Secret):
        yield repr(settings.store)
    for name in settings.connections.names():
        assert settings.connections.find(name), "a connection that is not found by its name"
    strict = _strict_error(environ)
    assert (strict.faults if strict else ()) == settings.connection_faults, "other faults"
    if strict:
        yield from judge_error(strict, _NAMES)


def _strict_error(environ: dict[str, str]) -> SettingsError | None:
    try:
        read_settings(environ, root=_root(), strict=True)
    except SettingsError as error:
        return error
    return None


def _told_of_account(environ: dict[str, str]) -> Iterator[str]:
    setting = account_setting(environ)
    if setting is not None:
        try:
            read_account(environ, setting)
        except SettingsError as error:
            yield from judge_error(error, _NAMES)


def _told_of_file(content: str | None) -> Iterator[str]:
    if content is not None:
        path = _root() / LOCAL_SETTINGS_FILE
        path.write_bytes(content.encode("utf-8", "surrogateescape"))
        try:
            read_local_settings(_root())
        except SettingsError as error:
            yield from judge_error(error, re.compile(re.escape(LOCAL_SETTINGS_FILE)))


def _members(text: str) -> list[str]:
    """Return the names of all members in a text that is JSON."""
    found: list[str] = []
    try:
        json.loads(text, object_pairs_hook=lambda pairs: found.extend(name for name, _ in pairs))
    except (ValueError, RecursionError):
        return found
    return found


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of the app, gone with the process; there is one certificate in it."""
    folder = tempfile.TemporaryDirectory(prefix="fuzz-settings-")
    (Path(folder.name) / "ca.pem").touch()
    return folder


def _root() -> Path:
    return Path(_folder().name)


TARGET: Final = Target(run, SEEDS, TOKENS)
