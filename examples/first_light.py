"""The service and a demo API on this machine, with four requests to try: ``make run``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from secrets import token_urlsafe  # noqa: TID251  # a password for one run of a demo
from threading import Thread

from examples.demo_api import DemoServer
from invoke_core.command_line import main as invoke_core

EXAMPLES = Path(__file__).resolve().parent

INVITATION = """\
The demo API listens on {demo}. In another terminal, in this folder, try:

  curl --data-binary @examples/step.yaml -H 'Content-Type: application/yaml' {url}/api/invocations
  curl --fail-with-body --data-binary @examples/failing-step.yaml -H 'Content-Type: application/yaml' {url}/api/invocations
  curl --json @examples/criteria.json {url}/api/criteria/evaluate
  curl --data-binary @examples/callback-step.yaml -H 'Content-Type: application/yaml' -H 'Prefer: wait=30' {url}/api/invocations

Ctrl-C ends both.
"""  # noqa: E501  # lines to be copied whole


def main() -> int:
    """Run both until interrupted; return the exit code of the service."""
    parser = argparse.ArgumentParser(description="The service and a demo API.")
    parser.add_argument("--port", type=int, default=7071, help="of the service (%(default)s)")
    parser.add_argument("--demo-port", type=int, default=7072, help="of the demo (%(default)s)")
    options = parser.parse_args()
    try:
        demo = DemoServer(options.demo_port)
    except OSError:
        print(
            f"Port {options.demo_port} is taken; the demo API needs it. "
            "Free it, or give another with --demo-port.",
            file=sys.stderr,
        )
        return 1
    with demo:
        Thread(target=demo.serve_forever, daemon=True).start()
        os.environ["DEMO_API_URL"] = demo.url  # noqa: TID251  # as an administrator sets it
        os.environ["DEMO_API_PASSWORD"] = token_urlsafe()  # noqa: TID251  # likewise
        os.environ["SERVICE_CONNECTIONS"] = str(EXAMPLES / "connections.json")  # noqa: TID251
        invitation = INVITATION.format(demo=demo.url, url=f"http://127.0.0.1:{options.port}")
        code = invoke_core(
            ["serve", "--port", str(options.port)],
            announce=lambda line: print(f"{line}\n{invitation}", flush=True),
        )
        demo.shutdown()
    return code


if __name__ == "__main__":
    sys.exit(main())
