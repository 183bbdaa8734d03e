"""How long a criteria takes, beside its peers and beside parsing the answer.

One typical criteria of four terms is compiled and evaluated by every engine in turn, over an
answer of 1.7 KB and one of 50 KB, in many short rounds; the table gives medians, so that a busy
machine disturbs all alike. Each engine gets the answer parsed in the form it likes best;
binding it is part of the evaluation.

Run it from the repository's root::

    python -m venv .venv/benchmarks
    .venv/benchmarks/bin/pip install -r benchmarks/requirements.txt
    npm install --prefix benchmarks
    .venv/benchmarks/bin/python -m benchmarks.criteria

Without Node.js or its package that row is left out, with a word.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import cel
import celpy
import jmespath
import simpleeval
from cel_expr_python import cel as cel_cpp

from invoke_core.documents import parse_answer
from invoke_core.expressions import answer_scope
from invoke_core.expressions.criteria import Criteria
from invoke_core.expressions.functions import CRITERIA
from invoke_core.expressions.parser import parse

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS: Final = int(sys.argv[1]) if len(sys.argv) > 1 else 40
_ROUND_S: Final = 0.01

OURS: Final = (
    "and(eq(root['status'], 'succeeded'), gt(root.count, 1000), "
    "ne(root.value[0].result, 'failed'), in(root.properties.state, 'Succeeded', 'Ready'))"
)
CEL: Final = (
    "root.status == 'Succeeded' && root.count > 1000 && root.value[0].result != 'failed' "
    "&& root.properties.state in ['Succeeded', 'Ready']"
)
JMESPATH: Final = (
    "status == 'Succeeded' && count > `1000` && value[0].result != 'failed' "
    "&& contains(['Succeeded', 'Ready'], properties.state)"
)
PYTHON: Final = (
    "root['status'] == 'Succeeded' and root['count'] > 1000 "
    "and root['value'][0]['result'] != 'failed' "
    "and (root['properties']['state'] == 'Succeeded' or root['properties']['state'] == 'Ready')"
)
NODE: Final = (
    "root.status == 'Succeeded' && root.count > 1000 && root.value[0].result != 'failed' "
    "&& (root.properties.state == 'Succeeded' || root.properties.state == 'Ready')"
)


def answer_of(items: int) -> str:
    """Return a typical answer with so many items."""
    return json.dumps(
        {
            "status": "Succeeded",
            "count": 1425,
            "value": [
                {"id": number, "name": f"build-{number}", "result": "succeeded", "score": 9.5}
                for number in range(items)
            ],
            "properties": {"state": "Ready", "owner": "demo"},
        }
    )


ANSWERS: Final = {"1.7 KB": answer_of(24), "50 KB": answer_of(700)}


def by_hand(root: Any) -> bool:  # noqa: ANN401  # a document; it stands for what one would write
    """Do what the criteria does, written by hand: case ignored, missing members survived."""
    value = root.get("value") or [{}]
    return (
        str(root.get("status", "")).upper() == "SUCCEEDED"
        and float(root.get("count", 0)) > 1000
        and str(value[0].get("result", "")).upper() != "FAILED"
        and str(root.get("properties", {}).get("state", "")).upper() in ("SUCCEEDED", "READY")
    )


def same(text: str) -> str:
    """Mask nothing."""
    return text


def compilers() -> dict[str, Callable[[], object]]:
    """Return what compiles the criteria, by engine."""
    return {
        "this service": _compile_ours,
        "jmespath": _compile_jmespath,
        "simpleeval": lambda: simpleeval.SimpleEval().parse(PYTHON),
        "cel-python": lambda: _CELPY.program(_CELPY.compile(CEL)),
        "common-expression-language": lambda: cel.compile(CEL),
        "cel-expr-python": lambda: _CEL_CPP.compile(CEL),
    }


_CELPY: Final = celpy.Environment()
_CEL_CPP: Final = cel_cpp.NewEnv(variables={"root": cel_cpp.Type.DYN})


def _compile_ours() -> Criteria:
    node = parse(OURS, CRITERIA)
    assert node is not None
    return Criteria(OURS, node)


def _compile_jmespath() -> object:
    # It remembers what it parsed, across parsers.
    compiler = jmespath.parser.Parser()
    compiler.purge()
    return compiler.parse(JMESPATH)


def evaluators(text: str) -> dict[str, Callable[[], object]]:
    """Return what evaluates the criteria over an answer, by engine."""
    ours = _compile_ours()
    parsed = parse_answer(text)
    plain = json.loads(text)
    path = jmespath.compile(JMESPATH)
    tree = simpleeval.SimpleEval().parse(PYTHON)
    celpy_program = _CELPY.program(_CELPY.compile(CEL))
    celpy_root = celpy.json_to_cel(plain)
    rust_program = cel.compile(CEL)
    cpp_program = _CEL_CPP.compile(CEL)

    def scope() -> Any:  # noqa: ANN401  # the scope of one evaluation
        return answer_scope(
            root=lambda: parsed,
            content=lambda: parsed,
            status=200,
            headers={},
            variables={},
            task_inputs={},
        )

    kept = scope()
    return {
        "Python, by hand": lambda: by_hand(plain),
        "this service: result": lambda: ours.test(kept),
        "this service: result, new scope": lambda: ours.test(scope()),
        "this service: trace": lambda: ours.explain(kept, mask=same).result,
        "this service: trace, explanation": lambda: ours.explain(kept, mask=same).explanation[
            "value"
        ],
        "this service: trace, explanation, new scope": lambda: ours.explain(
            scope(), mask=same
        ).explanation["value"],
        "jmespath": lambda: path.search(plain),
        "simpleeval": lambda: simpleeval.SimpleEval(names={"root": plain}).eval(
            PYTHON, previously_parsed=tree
        ),
        "cel-python": lambda: bool(celpy_program.evaluate({"root": celpy_root})),
        "common-expression-language": lambda: rust_program.execute({"root": plain}),
        "cel-expr-python": lambda: cpp_program.eval(data={"root": plain}).value(),
        "json.loads of the answer": lambda: bool(json.loads(text)),
    }


class Node:
    """The peer on Node.js, measured by its own process between our rounds."""

    def __init__(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603  # our own script
            ["node", str(Path(__file__).with_name("actions_expressions.mjs"))],  # noqa: S607  # whichever Node.js there is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def measure(self, text: str) -> dict[str, float] | None:
        """Return microseconds of a compilation and an evaluation, or None where it is missing."""
        assert self._process.stdin
        assert self._process.stdout
        with suppress(BrokenPipeError):
            request = {"expression": NODE, "document": text, "loops": 300}
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        """Stop it."""
        with suppress(BrokenPipeError):
            self._process.communicate()


def timed(action: Callable[[], object], loops: int) -> float:
    """Return the microseconds of one call."""
    started = time.perf_counter()
    for _ in range(loops):
        action()
    return (time.perf_counter() - started) * 1e6 / loops


def loops_for(action: Callable[[], object]) -> int:
    """Return how many calls fill a round."""
    once = max(min(timed(action, 1) for _ in range(3)), 0.1)
    return max(1, int(_ROUND_S * 1e6 / once))


def measure() -> dict[str, list[float]]:
    """Return the microseconds of every round, by column and engine."""
    actions = {f"compile|{name}": action for name, action in compilers().items()}
    for size, text in ANSWERS.items():
        for name, action in evaluators(text).items():
            assert action() is True, name
            actions[f"{size}|{name}"] = action
    loops = {name: loops_for(action) for name, action in actions.items()}
    times: dict[str, list[float]] = {name: [] for name in actions}
    node = Node()
    for _ in range(ROUNDS):
        for name, action in actions.items():
            times[name].append(timed(action, loops[name]))
        for size, text in ANSWERS.items():
            found = node.measure(text)
            if found is not None:
                times.setdefault(f"{size}|@actions/expressions", []).append(found["evaluate"])
                times.setdefault("compile|@actions/expressions", []).append(found["compile"])
    node.close()
    return times


def show(times: dict[str, list[float]]) -> None:
    """Print the tables."""
    for column, title in (
        ("compile", "Compiling"),
        ("1.7 KB", "Evaluating over 1.7 KB"),
        ("50 KB", "Evaluating over 50 KB"),
    ):
        rows = {
            name.partition("|")[2]: rounds
            for name, rounds in times.items()
            if name.startswith(f"{column}|")
        }
        ours = rows.get("this service: result", rows.get("this service", []))
        base = statistics.median(ours)
        print(
            f"\n| {title} | median µs | quartiles | ratio to ours |\n| --- | ---: | ---: | ---: |"
        )
        for name, rounds in sorted(rows.items(), key=lambda row: statistics.median(row[1])):
            low, median, high = statistics.quantiles(rounds, n=4)
            print(f"| {name} | {median:,.1f} | {low:,.1f}-{high:,.1f} | {median / base:,.2f} |")
    if "compile|@actions/expressions" not in times:
        print("\n(@actions/expressions is left out: npm install --prefix benchmarks)")


def main() -> None:
    """Measure and print."""
    sizes = ", ".join(f"{name}: {len(text):,} characters" for name, text in ANSWERS.items())
    print(f"{ROUNDS} interleaved rounds; {sizes}; Python {sys.version.split()[0]}")
    show(measure())


if __name__ == "__main__":
    main()
