"""The command line: ``python -m invoke_core serve``, ``check`` and ``smoke``.

Source: HTTP contract, section 8.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
from typing import TYPE_CHECKING, Final

from invoke_core import __version__
from invoke_core.errors import ConfigurationError, SettingsError, StoreUnavailableError
from invoke_core.local.processors import stay_on_one
from invoke_core.local.server import LocalServer, serve
from invoke_core.settings import EmbeddedStore, read_settings
from invoke_core.settings.local_file import read_local_settings
from invoke_core.smoke import Deployment, Outcome, smoke_test
from invoke_core.web.callers import caller_of_key
from invoke_core.wiring import APP_ROOT, state_keys, stop_alarms, watch_alarms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from invoke_core.settings import Settings

_FAULTY: Final = 1

_GRACE_S: Final = 10.0
"""Seconds that running calls, and then what runs beside them, get at the end."""


def main(arguments: Sequence[str] | None = None, *, announce: Callable[[str], None] = print) -> int:
    """Run a command.

    Args:
        arguments: The words after the program's name; None takes them from the process.
        announce: Gets the line that says where the server listens, once it does.

    Returns:
        The exit code: 0, or 1 where settings are faulty, the server cannot run or a probe failed.
    """
    options = _parser().parse_args(arguments)
    if options.command == "check" and options.caller is not None:
        print(caller_of_key(options.caller))
        return 0
    if options.command == "smoke":
        return _smoke(options)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    try:
        settings = _strict_settings()
        if options.command == "serve":
            _serve(options, settings, announce)
        else:
            print(_summary(settings))
    except SettingsError as error:
        for fault in error.faults:
            print(f"{fault.pointer}: {fault.detail}", file=sys.stderr)
        return _FAULTY
    except ConfigurationError as error:
        print(error.message, file=sys.stderr)
        return _FAULTY
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m invoke_core", description="Run REST invocations for pipelines."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve", help="serve the functions on this machine")
    server.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    server.add_argument("--port", type=int, default=7071, help="0 picks a free one (%(default)s)")
    server.add_argument("--function-key", metavar="KEY", help="what callers have to show")
    server.add_argument(
        "--drop-chunked",
        action="store_true",
        help="hand over chunked bodies as empty ones, as the Functions host does",
    )
    server.add_argument(
        "--processors",
        choices=("one", "all"),
        default="one",
        help="where threads may run; Python runs one at a time, fastest on one (%(default)s)",
    )
    check = commands.add_parser("check", help="check the settings, and do nothing else")
    check.add_argument(
        "--caller", metavar="KEY", help="print what stands for a function key in allow.callers"
    )
    smoke = commands.add_parser("smoke", help="probe a deployment from outside")
    smoke.add_argument("url", metavar="URL", help="where it is: https://NAME.azurewebsites.net")
    smoke.add_argument(
        "--key",
        help="a host key; without it, the variable INVOKE_KEY, which no list of processes shows",
    )
    smoke.add_argument(
        "--token",
        help="for a sign-in before it; without it, the variable INVOKE_TOKEN",
    )
    smoke.add_argument(
        "--connection", metavar="NAME", help="a connection whose target completes tasks"
    )
    smoke.add_argument(
        "--url-suffix", metavar="TEXT", default="", help="appended to that connection's URL"
    )
    return parser


def _smoke(options: argparse.Namespace) -> int:
    deployment = Deployment(
        url=options.url,
        key=options.key or os.environ.get("INVOKE_KEY") or None,  # noqa: TID251  # a secret of a shell
        token=options.token or os.environ.get("INVOKE_TOKEN") or None,  # noqa: TID251  # likewise
        connection=options.connection,
        url_suffix=options.url_suffix,
    )
    code = 0
    try:
        for finding in smoke_test(deployment):
            print(finding, flush=True)
            if finding.outcome is Outcome.FAILED:
                code = 1
    except ConfigurationError as error:
        print(error.message, file=sys.stderr)
        return _FAULTY
    return code


def _strict_settings() -> Settings:
    """Return the settings of this machine; any fault, of a single connection too, is raised."""
    for name, value in read_local_settings(APP_ROOT).items():
        os.environ.setdefault(name, value)  # noqa: TID251  # as Core Tools do
    environ = os.environ  # noqa: TID251  # at the process's edge
    settings = read_settings(environ, root=APP_ROOT, strict=True)
    for warning in settings.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    return settings


def _serve(
    options: argparse.Namespace, settings: Settings, announce: Callable[[str], None]
) -> None:
    if options.processors == "one":
        stay_on_one()
    sys.path.insert(0, str(APP_ROOT))
    server = LocalServer(
        importlib.import_module("function_app").app,
        app_root=APP_ROOT,
        host=options.host,
        port=options.port,
        function_key=options.function_key,
        drop_chunked=options.drop_chunked,
        threads=settings.threads,
    )
    os.environ.setdefault("PUBLIC_BASE_URL", server.url)  # noqa: TID251  # the listener's own
    state_keys(settings)
    print(_summary(settings))
    try:
        # What is due of an earlier process has waited long enough.
        watch_alarms()
    except StoreUnavailableError as error:
        print(f"warning: {error.message}", file=sys.stderr)
    serve(server, announce=announce, grace_s=_GRACE_S)
    stop_alarms(timeout_s=_GRACE_S)


def _summary(settings: Settings) -> str:
    names = ", ".join(sorted(settings.connections.names())) or "none"
    if isinstance(settings.store, EmbeddedStore):
        store = f"embedded, {settings.store.path}"
    else:
        store = f"Azure Storage (from {settings.store.setting})"
    return f"Connections: {names} (from {settings.connections_source})\nStore: {store}"


if __name__ == "__main__":
    sys.exit(main())
