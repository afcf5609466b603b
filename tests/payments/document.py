"""SumUp's own document of its interface, the part that Foyer uses, and what of a question or answer is not as it says.

`sumup_openapi.json` tells where it is from and how it was cut.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openapi_schema_validator import OAS30Validator, oas30_format_checker

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parent / "sumup_openapi.json").read_text())
METHODS = ("get", "post", "delete")


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme)


def _is_email(value: object) -> bool:
    return not isinstance(value, str) or re.fullmatch(r"[^@\s]+@[^@\s]+", value) is not None


#: The validator's own, and two formats for which it wants a library of its own.
formats = copy.copy(oas30_format_checker)
formats.checkers = {**oas30_format_checker.checkers, "uri": (_is_uri, ()), "email": (_is_email, ())}


@dataclass(frozen=True)
class Operation:
    """One path and method; `name` is SumUp's own (operationId)."""

    name: str
    method: str
    path: str
    facts: Mapping[str, Any]
    parameters: tuple[Mapping[str, Any], ...]

    def answers(self) -> Mapping[str, Any]:
        """By status."""
        found: Mapping[str, Any] = self.facts["responses"]
        return found

    def content(self, status: str) -> Mapping[str, Any]:
        """Schema and examples of an answer, by content type."""
        found: Mapping[str, Any] = self.answers()[status].get("content", {})
        return found


@cache
def operations() -> tuple[Operation, ...]:
    return tuple(
        Operation(
            item[method]["operationId"],
            method.upper(),
            path,
            item[method],
            (*item.get("parameters", ()), *item[method].get("parameters", ())),
        )
        for path, item in DOCUMENT["paths"].items()
        for method in METHODS
        if method in item
    )


def operation_of(method: str, path: str) -> Operation | None:
    """What the document calls a question; None for what it does not know."""
    for operation in operations():
        pattern = re.sub(r"\{\w+\}", "[^/]+", operation.path)
        if operation.method == method and re.fullmatch(pattern, path):
            return operation
    return None


def named(name: str) -> Operation:
    return next(operation for operation in operations() if operation.name == name)


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema that a $ref names; any other as it is."""
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def properties(schema: Mapping[str, Any]) -> dict[str, Any]:
    """All properties of an object's schema, those of its parts (allOf) too."""
    schema = resolved(schema)
    found = dict(schema.get("properties", {}))
    for part in schema.get("allOf", ()):
        found |= properties(part)
    return found


def required(schema: Mapping[str, Any]) -> set[str]:
    schema = resolved(schema)
    return set(schema.get("required", ())).union(*(required(part) for part in schema.get("allOf", ())))


def against(schema: Mapping[str, Any], value: object) -> list[str]:
    """What of `value` is not as `schema` says."""
    validator = OAS30Validator({**schema, "components": DOCUMENT["components"]}, format_checker=formats)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in validator.iter_errors(value)]


def faults_of_answer(operation: Operation, status: int, content_type: str, body: bytes) -> list[str]:
    """What of an answer is not as the document says: status, content type, body."""
    if str(status) not in operation.answers():
        return [f"{operation.name} has no answer {status}"]
    form = content_type.partition(";")[0].strip()
    content = operation.content(str(status))
    if form not in content:
        return [f"{operation.name} {status} is {' or '.join(content)}, not {form or 'nothing'}"]
    schema = content[form]["schema"]
    value = json.loads(body) if "json" in form else body.decode()
    found = against(schema, value)
    if status >= 400:
        found += _strange(schema, value)
    return [f"{operation.name} {status} {fault}" for fault in found]


def _strange(schema: Mapping[str, Any], value: object) -> Iterator[str]:
    """An error's schema asks for nothing, so that any object fits it: its fields must be that schema's, and some."""
    schema = resolved(schema)
    if isinstance(value, list):
        for item in value:
            yield from _strange(schema.get("items", {}), item)
    elif isinstance(value, dict):
        names = set(properties(schema))
        if not names & set(value):
            yield f"has none of {sorted(names)}"
        if not schema.get("additionalProperties") and (more := set(value) - names):
            yield f"has {sorted(more)}, which are of another shape"


def faults_of_question(method: str, path: str, query: str, body: str) -> list[str]:
    """What of a question, as it went over the wire, is not as the document says."""
    operation = operation_of(method, path)
    if operation is None:
        return [f"{method} {path} is not in the document"]
    found = list(_faults_of_query(operation, parse_qs(query, keep_blank_values=True)))
    asked = operation.facts.get("requestBody")
    if asked is None:
        return [f"{operation.name}: {fault}" for fault in [*found, *(["has a body"] if body else [])]]
    if body:
        found += against(asked["content"]["application/json"]["schema"], json.loads(body))
    elif asked.get("required"):
        found.append("has no body")
    return [f"{operation.name}: {fault}" for fault in found]


def _faults_of_query(operation: Operation, query: Mapping[str, list[str]]) -> Iterator[str]:
    parameters = {row["name"]: row for row in operation.parameters if row["in"] == "query"}
    yield from (f"{name} is no parameter" for name in query if name not in parameters)
    for name, row in parameters.items():
        if name not in query:
            if row.get("required"):
                yield f"{name} is missing"
            continue
        schema = resolved(row["schema"])
        values: object = query[name]
        if schema["type"] != "array":
            if len(query[name]) > 1:
                yield f"{name} is given twice"
            text = query[name][0]
            values = int(text) if schema["type"] == "integer" and text.lstrip("-").isdigit() else text
        yield from (f"{name} {fault}" for fault in against(schema, values))


def examples(operation: Operation) -> Iterator[tuple[int, object]]:
    """(status, value) of each example of an answer."""
    for status in operation.answers():
        for content in operation.content(status).values():
            if "example" in content:
                yield int(status), content["example"]
            yield from ((int(status), row["value"]) for row in content.get("examples", {}).values())
