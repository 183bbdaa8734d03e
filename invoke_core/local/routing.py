"""Route templates, matched as the Functions host matches them.

Source:
    The Functions host hands its routes to ASP.NET Core's ``RoutePatternParser`` and
    ``RoutePatternMatcher``; order, reserved names and conflicts are its own
    (``WebScriptHostHttpRoutesManager``, ``ScriptHost.ValidateHttpFunction``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from invoke_core.local.constraints import Constraint, parse_constraint
from invoke_core.local.errors import LocalServerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RESERVED = ("admin", "runtime")
"""No function's route may begin so, not even as part of a longer word."""

_LITERAL = re.compile(r"(?:[^/{}]|\{\{|\}\})+")
_PARAMETER = re.compile(r"\{((?:[^{}]|\{\{|\}\})+)\}(?!\})")
_INSIDE = re.compile(
    r"(?P<stars>\*{0,2})(?P<name>[^/{}?*:=]+)(?P<constraints>:.*?)?(?P<optional>\?)?",
    re.DOTALL,
)
# A closing parenthesis ends a constraint only where the text or the constraint ends with it.
_CONSTRAINT = re.compile(r":([^:(]+(?:\(.*?\)(?=:|$))?)", re.DOTALL)
_ESCAPES = re.compile(rb"(?:%(?!2[Ff])[0-9A-Fa-f]{2})+")
_NOT_UTF8 = re.compile("[\udc80-\udcff]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A placeholder of a template.

    Attributes:
        name: Under this name the function finds the value.
        constraints: All have to accept the value.
        optional: ``{name?}``: the segment may be missing.
        catch_all: ``{*name}``: takes the rest of the path, slashes included.
    """

    name: str
    constraints: tuple[Constraint, ...] = ()
    optional: bool = False
    catch_all: bool = False


Segment = tuple[str | Parameter, ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed route template.

    Attributes:
        text: The template as written.
        segments: What stands between its slashes; parameters and literals alternate.
    """

    text: str
    segments: tuple[Segment, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the values a path gives to the parameters; None where it does not match.

        Args:
            path: Begins with a slash, decoded by ``decode_path``.

        Returns:
            Values by parameter name. A parameter that took nothing is not in it: the host passes
            no null values on to the worker.
        """
        values: dict[str, str] = {}
        position = 1
        for segment in self.segments:
            first = segment[0]
            simple = first if len(segment) == 1 and isinstance(first, Parameter) else None
            if position >= len(path):
                if simple is None or not (simple.optional or simple.catch_all):
                    return None
                continue
            end = path.find("/", position)
            end = len(path) if end == -1 else end
            # An empty segment is refused even where a catch-all stands, but not after its begin.
            if end == position:
                return None
            if simple is not None and simple.catch_all:
                end = len(path)
            found = _match_segment(segment, path[position:end])
            if found is None:
                return None
            values |= found
            position = end + 1
        if position < len(path) or not self._accepts(values):
            return None
        return values

    def _accepts(self, values: dict[str, str]) -> bool:
        for segment in self.segments:
            for part in segment:
                if isinstance(part, Parameter) and part.constraints:
                    value = values.get(part.name)
                    if value is None:
                        if not part.optional:
                            return False
                    elif not all(accepts(value) for accepts in part.constraints):
                        return False
        return True


def _match_segment(segment: Segment, text: str) -> dict[str, str] | None:
    last = segment[-1]
    if len(segment) > 1 and isinstance(last, Parameter) and last.optional:
        # Only a dot may stand before it (see parsing), and the dot goes when the parameter does.
        return _match_parts(segment, text) or (
            None if text.endswith(".") else _match_parts(segment[:-2], text)
        )
    return _match_parts(segment, text)


def _match_parts(parts: Segment, text: str) -> dict[str, str] | None:
    """Match from the right, literals where they stand last: ``{a}.{b}`` splits at a last dot."""
    values: dict[str, str] = {}
    if parts == (text,):
        return values
    folded = _fold(text)
    end = len(text)
    pending: Parameter | None = None
    for index in range(len(parts) - 1, -1, -1):
        part = parts[index]
        if isinstance(part, Parameter):
            pending = part
            continue
        # A parameter to the right of the literal keeps at least one character.
        start = folded.rfind(_fold(part), 0, end if pending is None else max(0, end - 1))
        if start == -1 or (index == len(parts) - 1 and start + len(part) != len(text)):
            return None
        if pending is not None:
            values[pending.name] = text[start + len(part) : end]
            pending = None
        end = start
    if pending is None:
        return values if end == 0 else None
    values[pending.name] = text[:end]
    return values if end > 0 else None


def parse_template(text: str) -> Template:
    """Read a route template.

    Args:
        text: As given to ``app.route``, with the route prefix in front.

    Raises:
        LocalServerError: The host would not take it; the message says why.
    """
    rest = text.removeprefix("~/") if text.startswith("~/") else text.removeprefix("/")
    segments: list[Segment] = []
    names: set[str] = set()
    position = 0
    while position < len(rest):
        parts: list[str | Parameter] = []
        while position < len(rest) and rest[position] != "/":
            literal = _LITERAL.match(rest, position)
            parameter = _PARAMETER.match(rest, position)
            if literal:
                parts.append(literal[0].replace("{{", "{").replace("}}", "}"))
                position = literal.end()
            elif parameter:
                parts.append(_parse_parameter(parameter[1], template=text))
                position = parameter.end()
            else:
                raise _refused(text, "its braces do not pair up")
        _check_segment(parts, names, template=text)
        segments.append(tuple(parts))
        position += 1
    for segment in segments[:-1]:
        if any(isinstance(part, Parameter) and part.catch_all for part in segment):
            raise _refused(text, "a catch-all parameter has to stand at the end")
    return Template(text, tuple(segments))


def _parse_parameter(text: str, *, template: str) -> Parameter:
    inside = text.replace("{{", "{").replace("}}", "}")
    match = _INSIDE.fullmatch(inside)
    if match is None:
        raise _refused(template, f"'{{{text}}}' is not a parameter the local server can read")
    constraints = match["constraints"] or ""
    found = _CONSTRAINT.findall(constraints)
    if "".join(f":{one}" for one in found) != constraints:
        raise _refused(template, f"the constraints of '{{{text}}}' cannot be read")
    catch_all, optional = bool(match["stars"]), bool(match["optional"])
    if catch_all and optional:
        raise _refused(template, "a catch-all parameter cannot be optional")
    return Parameter(
        name=match["name"],
        constraints=tuple(parse_constraint(one) for one in found),
        optional=optional,
        catch_all=catch_all,
    )


def _check_segment(parts: Sequence[str | Parameter], names: set[str], *, template: str) -> None:
    if not parts:
        raise _refused(template, "two slashes stand side by side")
    for index, part in enumerate(parts):
        if isinstance(part, str):
            if "?" in part:
                raise _refused(template, "a question mark stands outside a parameter")
            continue
        if part.name.upper() in names:
            raise _refused(template, f"the parameter '{part.name}' appears twice")
        names.add(part.name.upper())
        if index and isinstance(parts[index - 1], Parameter):
            raise _refused(template, "two parameters stand side by side without text between them")
        if part.catch_all and len(parts) > 1:
            raise _refused(template, "a catch-all parameter has to be a whole segment")
        ends_after_dot = index == len(parts) - 1 and parts[index - 1] == "."
        if part.optional and len(parts) > 1 and not ends_after_dot:
            raise _refused(
                template, f"the optional '{part.name}' has to end its segment, after a dot"
            )


def _refused(template: str, why: str) -> LocalServerError:
    return LocalServerError(f"The route '{template}' is refused: {why}.")


def _fold(text: str) -> str:
    """Return the text for comparison without case, each character where it was.

    Source:
        .NET's ``OrdinalIgnoreCase``: upper case, one character for one.
    """
    upper = text.upper()
    if len(upper) == len(text):
        return upper
    return "".join(one.upper() if len(one.upper()) == 1 else one for one in text)


@dataclass(frozen=True, slots=True)
class Route:
    """One function's route.

    Attributes:
        function: The function's name; it decides the order of routes.
        template: Where the function is found.
        methods: Upper-case methods it takes; empty for all.
    """

    function: str
    template: Template
    methods: frozenset[str]


class RouteTable:
    """The routes of an app, in the order in which the host tries them."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Order the routes by function name, without case.

        Raises:
            LocalServerError: Two functions want the same route with the same method.
        """
        self._routes = sorted(routes, key=lambda route: _fold(route.function))
        for index, route in enumerate(self._routes):
            for other in self._routes[:index]:
                same = _fold(route.template.text) == _fold(other.template.text)
                both = route.methods & other.methods or not (route.methods and other.methods)
                if same and both:
                    raise LocalServerError(
                        f"The functions '{other.function}' and '{route.function}' have the same "
                        f"route '{route.template.text}' and a method in common."
                    )

    def find(self, method: str, path: str) -> tuple[str, dict[str, str]] | None:
        """Return the first function that takes the request, and its route values.

        Args:
            method: The request's method.
            path: The decoded path.

        Returns:
            None where no function takes it. A function that matches but for the method does not
            end the search, and is no reason for a 405.
        """
        for route in self._routes:
            if not route.methods or method.upper() in route.methods:
                values = route.template.match(path)
                if values is not None:
                    return route.function, values
        return None


def decode_path(path: str) -> str | None:
    """Return a request's path as the host routes it; None where the host refuses it.

    Percent-escapes are decoded as UTF-8, but for ``%2F`` and what is no UTF-8. Then dot segments
    are removed. Empty segments stay.

    Args:
        path: The path as sent, beginning with a slash; ASCII only.

    Source:
        ASP.NET Core's web server: ``PathNormalizer``, ``UrlDecoder``; null characters are refused.
    """
    if "%" in path:
        path = _ESCAPES.sub(_unescape, path.encode("ascii")).decode()
        if "\0" in path:
            return None
    if "/." in path:
        kept: list[str] = []
        segments = path[1:].split("/")
        for segment in segments:
            if segment == "..":
                del kept[-1:]
            elif segment != ".":
                kept.append(segment)
        if segments[-1] in {".", ".."}:
            kept.append("")
        path = "/" + "/".join(kept)
    return path


def _unescape(match: re.Match[bytes]) -> bytes:
    raw = bytes.fromhex(match[0].replace(b"%", b"").decode("ascii"))
    text = raw.decode("utf-8", "surrogateescape")
    return _NOT_UTF8.sub(lambda one: f"%{ord(one[0]) - 0xDC00:02X}", text).encode()
