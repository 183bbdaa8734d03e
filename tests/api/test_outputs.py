"""What a task puts out, in the forms in which pipelines take variables in.

Source: HTTP contract, section 3 ("Outputs") and section 5 (``/outputs``).
"""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.conftest import Client, demo_connections, make_app, make_client
from tests.api.target import Reply
from tests.api.test_retries import messages
from tests.pipelines.conftest import basic, call

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.api.conftest import Answered
    from tests.api.target import Target
    from tests.pipelines.conftest import Answered as PlanAnswered

FORMS = ["json", "dotenv", "github", "azure-pipelines", "gitlab"]
ANSWER = {"id": "dep-7", "count": 1425, "ready": True, "tags": ["a", "b"], "none": None}

HOSTILE = {
    "a second line": "a\nb",
    "a second variable": "a\nPATH=/tmp/evil",
    "a carriage return": "a\rb",
    "a pipeline command": "a\n##vso[task.setvariable variable=bad2]b",
    "a command in the line": "##vso[task.complete result=Failed]",
    "an old command": "a\n::set-output name=b::c",
    "a delimiter": "a\nEOF\nevil<<EOF",
    "quotes": 'it\'s "so"',
    "a quote and a command": "'; touch evil; '",
    "a substitution": "$(touch evil) `touch evil` ${PATH} $PATH",
    "a backslash": "C:\\temp\\new",
    "a backslash at the end": "a\\",
    "escapes of commands": "%0A%0D%25%AZP25%3B%5D",
    "a semicolon and a bracket": "a;isOutput=false]b",
    "a comment": "a #b",
    "blanks around": "  a  ",
    "a NUL": "a\0b",
    "a line end of Unicode": "a\u2028b\u0085c",
    "no ASCII": "Zoë 日本 🚀",
    "nothing": "",
}


def ran(client: Client, target: Target, answer: object, outputs: object, **step: Any) -> Answered:  # noqa: ANN401  # any JSON
    target.reply = lambda _: Reply(json.dumps(answer).encode())
    inputs = {"serviceConnection": "demo", "method": "GET"}
    return client.post({"inputs": inputs, "outputs": outputs, **step})


def outputs_of(client: Client, answered: Answered | str, form: str | None = None) -> Answered:
    invocation_id = answered if isinstance(answered, str) else answered.json["id"]
    query = {} if form is None else {"format": form}
    return client.get(f"api/invocations/{invocation_id}/outputs", query=query)


def test_what_stands_in_the_answer_is_put_out(client: Client, target: Target) -> None:
    answered = ran(client, target, ANSWER, {name: f"$.{name}" for name in ANSWER})

    assert answered.status == 200
    expected = {
        "id": "dep-7",
        "count": "1425",
        "ready": "true",
        "tags": '["a","b"]',
        "none": "null",
    }
    assert answered.json["outputs"] == expected
    assert answered.json["links"]["outputs"].endswith(f"/{answered.json['id']}/outputs")
    read = outputs_of(client, answered)
    assert (read.status, read.json) == (200, expected)


def test_what_is_not_there_is_left_out_with_a_warning(client: Client, target: Target) -> None:
    answered = ran(client, target, ANSWER, {"id": "$.id", "url": "$.links.url"})

    assert (answered.status, answered.json["outputs"]) == (200, {"id": "dep-7"})
    assert [issue["type"] for issue in answered.json["issues"]] == ["warning"]
    assert "'url' is left out" in messages(answered.json)


def test_what_is_too_long_is_left_out_with_a_warning(client: Client, target: Target) -> None:
    answer = {"fits": "x" * 32 * 1024, "long": "x" * (32 * 1024 + 1), "huge": "\n" * 1024 * 1024}

    answered = ran(client, target, answer, {name: f"$.{name}" for name in answer})

    assert list(answered.json["outputs"]) == ["fits"]
    assert "'long' is left out" in messages(answered.json)
    assert "'huge' is left out" in messages(answered.json)


def test_an_answer_that_is_not_json_puts_nothing_out(client: Client, target: Target) -> None:
    target.reply = lambda _: Reply(b"<ok/>")
    inputs = {"serviceConnection": "demo", "method": "GET"}

    answered = client.post({"inputs": inputs, "outputs": {"id": "$.id"}})

    assert (answered.status, answered.json["outputs"]) == (200, {})
    assert "There are no outputs." in messages(answered.json)


def test_a_secret_is_not_put_out(client: Client, target: Target) -> None:
    answered = ran(
        client,
        target,
        {"echo": "it is sw0rdfish"},
        {"echo": "$.echo"},
        variables={"pass": {"value": "sw0rdfish", "isSecret": True}},
    )

    assert answered.json["outputs"] == {"echo": "it is ***"}
    assert all(b"sw0rdfish" not in outputs_of(client, answered, form).body for form in FORMS)


PAIRS = {"id": "dep-7", "count": "1425"}


@pytest.mark.parametrize(
    ("form", "media_type", "text"),
    [
        ("json", "application/json", r'\{"id":"dep-7","count":"1425"\}'),
        ("dotenv", "text/plain", "id='dep-7'\ncount='1425'\n"),
        (
            "github",
            "text/plain",
            r"id<<(output_[\w-]{20,})\ndep-7\n\1\ncount<<(output_[\w-]{20,})\n1425\n\2\n",
        ),
        (
            "azure-pipelines",
            "text/plain",
            r"(##vso\[task.setvariable variable=(id|count);isOutput=true\](dep-7|1425)\n){2}",
        ),
        ("gitlab", "text/plain", "id=dep-7\ncount=1425\n"),
        ("GitHub", "text/plain", r"id<<[\s\S]+"),
    ],
)
def test_each_form_has_its_text_and_its_media_type(
    client: Client, target: Target, form: str, media_type: str, text: str
) -> None:
    answered = ran(client, target, ANSWER, {name: f"$.{name}" for name in PAIRS})

    read = outputs_of(client, answered, form)

    assert read.status == 200
    assert read.headers["Content-Type"] == f"{media_type}; charset=utf-8"
    assert read.headers["Cache-Control"] == "no-store"
    assert read.headers["X-Content-Type-Options"] == "nosniff"
    assert re.fullmatch(text, read.body.decode())


def test_a_delimiter_is_never_the_same_again(client: Client, target: Target) -> None:
    answered = ran(client, target, ANSWER, {"id": "$.id", "count": "$.count"})

    texts = "".join(outputs_of(client, answered, "github").body.decode() for _ in range(2))

    assert len(set(re.findall(r"<<(.+)", texts))) == 4


def from_shell(text: str, folder: Path) -> dict[str, str]:
    """Source a text as a POSIX shell does, and return the variables it has set."""
    (folder / "outputs.env").write_text(text, encoding="utf-8", newline="")
    done = subprocess.run(
        ["/usr/bin/env", "-i", "/bin/sh", "-ec", "set -a; . ./outputs.env; exec /usr/bin/env -0"],
        cwd=folder,
        capture_output=True,
        check=True,
        timeout=20,
    )
    pairs = (pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)
    return {name: value for name, value in pairs if name not in {"PWD", "SHLVL", "_", "OLDPWD"}}


def from_github(text: str, _: Path) -> dict[str, str]:
    """Read a text as a runner does: ``name<<delimiter``, the value's lines, the delimiter."""
    found: dict[str, str] = {}
    lines = iter(re.split(r"\r\n|\n|\r", text.removesuffix("\n")))
    for line in lines:
        name, mark, delimiter = line.partition("<<")
        assert mark, line
        assert name not in found
        value: list[str] = []
        while (part := next(lines)) != delimiter:
            value.append(part)
        found[name] = "\n".join(value)
    return found


def from_azure_pipelines(text: str, _: Path) -> dict[str, str]:
    """Read a text as an agent does: one command a line, with its escapes."""
    found: dict[str, str] = {}
    for line in re.split(r"\r\n|\n|\r", text.removesuffix("\n")):
        command = re.fullmatch(r"##vso\[task\.setvariable ([^\]]*)\](.*)", line, re.DOTALL)
        assert command, line
        properties = dict(pair.split("=", 1) for pair in command[1].split(";"))
        name = properties.pop("variable")
        assert properties == {"isOutput": "true"}
        assert name not in found
        value = command[2].replace("%0D", "\r").replace("%0A", "\n")
        found[name] = value.replace("%AZP25", "%")
    return found


def from_gitlab(text: str, _: Path) -> dict[str, str]:
    lines = text.removesuffix("\n").split("\n")
    assert not any(line.startswith("#") for line in lines)
    return dict(line.split("=", 1) for line in lines)


READERS: dict[str, Callable[[str, Path], Mapping[str, str]]] = {
    "json": lambda text, _: json.loads(text),
    "dotenv": from_shell,
    "github": from_github,
    "azure-pipelines": from_azure_pipelines,
    "gitlab": from_gitlab,
}


@pytest.mark.parametrize("form", FORMS)
def test_a_hostile_value_is_one_variable_with_that_value_or_is_refused(
    client: Client, target: Target, tmp_path: Path, form: str
) -> None:
    refused = set()
    for what, value in HOSTILE.items():
        answered = ran(
            client, target, {"good": "ok", "bad": value}, {"good": "$.good", "bad": "$.bad"}
        )
        assert answered.json["outputs"] == {"good": "ok", "bad": value}, what

        read = outputs_of(client, answered, form)

        if read.status == 200:
            found = READERS[form](read.body.decode(), tmp_path)
            assert found == {"good": "ok", "bad": value}, what
        else:
            refused.add(what)
            assert (read.status, read.json["code"]) == (400, "outputFormat"), what
            assert read.headers["Content-Type"] == "application/problem+json"
            assert [error["pointer"] for error in read.json["errors"]] == ["/outputs/bad"]
    assert not (tmp_path / "evil").exists()
    always = {"no ASCII", "nothing", "a semicolon and a bracket", "escapes of commands"}
    taken = {
        "json": set(HOSTILE),
        "dotenv": {*always, "a second line", "a delimiter", "a comment", "a backslash"},
        "github": set(HOSTILE) - {"a NUL", "a carriage return"},
        "azure-pipelines": set(HOSTILE) - {"a NUL", "a substitution"},
        "gitlab": always - {"no ASCII"},
    }
    assert not refused & taken[form]
    assert ("a NUL" in refused) == (form != "json")


def test_each_output_that_a_form_cannot_hold_is_named(client: Client, target: Target) -> None:
    answer = {"a": "1\n2", "b": "fine", "c": "it's"}
    answered = ran(client, target, answer, {name: f"$.{name}" for name in answer})

    read = outputs_of(client, answered, "gitlab")

    assert (read.status, read.json["code"]) == (400, "outputFormat")
    assert [error["pointer"] for error in read.json["errors"]] == ["/outputs/a", "/outputs/c"]
    assert "1\\n2" not in read.body.decode()
    assert outputs_of(client, answered).json == answer


def test_a_variable_that_changes_how_programs_run_is_refused(
    client: Client, target: Target
) -> None:
    answered = ran(client, target, {"v": "x"}, {"LD_PRELOAD": "$.v"})

    refused = outputs_of(client, answered, "dotenv")

    assert refused.status == 400
    assert [error["pointer"] for error in refused.json["errors"]] == ["/outputs/LD_PRELOAD"]


@pytest.mark.parametrize("form", ["xml", "", "githb"])
def test_a_form_that_is_none_is_refused(client: Client, target: Target, form: str) -> None:
    answered = ran(client, target, ANSWER, {"id": "$.id"})

    refused = outputs_of(client, answered, form)

    assert refused.status == 400
    assert ("'github'" in refused.json["errors"][0]["detail"]) == (form == "githb")
    assert "azure-pipelines" in refused.json["errors"][0]["detail"]


@pytest.mark.parametrize("invocation_id", ["0f1c8a52-6a3c-4d0a-8a8e-2f1f6f0c5a11", "none"])
def test_there_are_no_outputs_of_what_is_not_there(client: Client, invocation_id: str) -> None:
    refused = outputs_of(client, invocation_id)

    assert (refused.status, refused.json["code"]) == (404, "notFound")


def test_a_task_without_outputs_has_none(client: Client) -> None:
    answered = client.step(method="GET")

    assert answered.json["outputs"] == {}
    assert outputs_of(client, answered).json == {}
    assert outputs_of(client, answered, "dotenv").body == b""


def test_outputs_outlive_the_process(target: Target, tmp_path: Path) -> None:
    connections = demo_connections(target.url)
    answered = ran(make_client(tmp_path, connections), target, ANSWER, {"id": "$.id"})

    read = outputs_of(make_client(tmp_path, connections), answered, "dotenv")

    assert (read.status, read.body) == (200, b"id='dep-7'\n")


@pytest.mark.parametrize(
    ("outputs", "pointer"),
    [
        ({"1st": "$.id"}, "/outputs/1st"),
        ({"a b": "$.id"}, "/outputs/a b"),
        ({"a": "id["}, "/outputs/a"),
        ({"a": {}}, "/outputs/a"),
        ({"a": "$.id", "A": "$.count"}, "/outputs/A"),
        (["$.id"], "/outputs"),
        ({f"o{n}": "$.id" for n in range(51)}, "/outputs"),
    ],
)
def test_outputs_that_cannot_be_are_refused(
    client: Client, target: Target, outputs: object, pointer: str
) -> None:
    answered = ran(client, target, ANSWER, outputs)

    assert answered.status == 400
    assert [error["pointer"] for error in answered.json["errors"]] == [pointer]
    assert target.received == []


class Callback:
    """A task that waits for its callback, and its external service."""

    def __init__(self, root: Path, target: Target) -> None:
        app = make_app(root, demo_connections(target.url))
        self.client = Client(app.handlers)
        self._pipelines = app.pipelines
        self.begun = self.client.step(waitForCompletion=True)
        assert self.begun.status == 202
        self._token = target.received[0].header("AuthToken") or ""

    def call(self, method: str, path: str, body: object) -> PlanAnswered:
        ids = self.begun.json["correlation"]
        plan = (
            f"/azdo/default/{ids['projectId']}/_apis/distributedtask/hubs/build"
            f"/plans/{ids['planId']}"
        )
        headers = {"authorization": basic(self._token)}
        return call(self._pipelines, method, plan + path, body, headers=headers)

    def set(self, variables: object) -> None:
        ids = self.begun.json["correlation"]
        record = {"id": ids["taskInstanceId"], "variables": variables}
        answered = self.call(
            "PATCH", f"/timelines/{ids['timelineId']}/records", {"value": [record], "count": 1}
        )
        assert answered.status == 200

    def complete(self) -> None:
        ids = self.begun.json["correlation"]
        event = {
            "name": "TaskCompleted",
            "jobId": ids["jobId"],
            "taskId": ids["taskInstanceId"],
            "result": "succeeded",
        }
        assert self.call("POST", "/events", event).status == 204


def test_what_an_external_service_sets_is_put_out_and_its_secrets_are_not(
    target: Target, tmp_path: Path
) -> None:
    callback = Callback(tmp_path, target)
    callback.set(
        {
            "url": {"value": "https://example.com/7"},
            "pass": {"value": "hunter22", "isSecret": True},
            "text": {"value": "one\ntwo"},
        }
    )
    callback.complete()

    ended = callback.client.get(f"api/invocations/{callback.begun.json['id']}")
    read = {form: outputs_of(callback.client, ended, form) for form in FORMS}

    expected = {"url": "https://example.com/7", "text": "one\ntwo"}
    assert (ended.status, ended.json["outputs"]) == (200, expected)
    assert {form: one.status for form, one in read.items()} == {
        "json": 200,
        "dotenv": 200,
        "github": 200,
        "azure-pipelines": 200,
        "gitlab": 400,
    }
    for form, one in read.items():
        assert b"hunter22" not in one.body
        if one.status == 200:
            assert READERS[form](one.body.decode(), tmp_path) == expected


def test_a_variable_whose_name_a_form_cannot_hold_is_named(target: Target, tmp_path: Path) -> None:
    callback = Callback(tmp_path, target)
    callback.set({"deploy.url": {"value": "x"}, "a=b]\n": {"value": "y"}})
    callback.complete()

    read = {form: outputs_of(callback.client, callback.begun, form) for form in FORMS}

    assert read["json"].json == {"deploy.url": "x", "a=b]\n": "y"}
    pointers = {
        form: [error["pointer"] for error in one.json["errors"]]
        for form, one in read.items()
        if form != "json"
    }
    assert pointers.pop("azure-pipelines") == ["/outputs/a=b]\n"]
    assert set(map(tuple, pointers.values())) == {("/outputs/deploy.url", "/outputs/a=b]\n")}
