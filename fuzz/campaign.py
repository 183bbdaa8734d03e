"""Runs one target under atheris: ``python -m fuzz.campaign NAME SECONDS SEED FOLDER``."""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import atheris

SLOWEST_S = 2.0


def main(name: str, seconds: str, seed: str, folder: str) -> None:
    """Fuzz, and keep what was found in the folder; the fuzzer ends the process."""
    place = Path(folder)
    with atheris.instrument_imports(include=["invoke_core"]):
        target = import_module(f"fuzz.{name}").TARGET
    corpus = place / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(target.seeds):
        (corpus / f"seed{number}").write_bytes(text)
    words = {
        token if isinstance(token, bytes) else token.encode("utf-8", "surrogatepass")
        for token in target.tokens
        if token
    }
    lines = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in sorted(words)]
    (place / "tokens").write_text("\n".join(lines))
    facts = {"executions": 0, "longest_s": 0.0, "seconds": 0.0}
    found: set[str] = set()
    began = told = time.monotonic()

    def tell() -> None:
        facts["seconds"] = time.monotonic() - began
        (place / "facts").write_text(json.dumps({**facts, "findings": sorted(found)}))

    def finding(what: str, data: bytes) -> None:
        if what not in found:
            found.add(what)
            (place / f"finding{len(found)}").write_bytes(data)
            tell()

    def one(data: bytes) -> None:
        nonlocal told
        # Of the processor, since others use it as well.
        started = time.process_time()
        try:
            target.check(data)
        except Exception as error:  # noqa: BLE001  # whatever escapes is what is looked for
            at = error.__traceback__
            while at is not None and at.tb_next is not None:
                at = at.tb_next
            where = f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}" if at else ""
            finding(f"{type(error).__name__} at {where}", data)
        took = time.process_time() - started
        facts["executions"] += 1
        facts["longest_s"] = max(facts["longest_s"], took)
        if took > SLOWEST_S:
            finding("a hang", data)
        if time.monotonic() - told > 1:
            told = time.monotonic()
            tell()

    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-dict={place / 'tokens'}"]
    limits = ["-max_len=2048", "-timeout=20", "-rss_limit_mb=1500", f"-artifact_prefix={place}/"]
    atheris.Setup([sys.argv[0], *options, *limits, str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
