"""The OpenAPI document of the push API, made from its methods' signatures."""

from __future__ import annotations

from typing import Any

from tidegate.http.kinds import SCHEMAS, result_schema
from tidegate.http.methods import METHODS, Method, Parameter

__all__ = ["describe"]

Schema = dict[str, Any]

ARGUMENTS = {
    "client_ids": "The clients that it is for; none listed is nobody. Everybody where it is left out.",
    "exclude": "Clients that do not get it.",
    "message": 'A text frame, or {"base64": "…"} for a binary one.',
    "raw": "The message is encoded for the client already, and is sent as it is.",
}
"""What those are for whose name and type don't tell."""
REFUSALS = {
    "400": "The body is no JSON.",
    "403": "Without a token: the request comes from elsewhere, or from a web page.",
    "408": "The body did not come in time.",
    "413": "The body is too long.",
    "415": "The body is said to be no JSON.",
    "422": "An argument is wrong, not known or missing; `argument` says which.",
    "503": "The cluster, or a part of it, can't be reached or does not answer.",
}
NO_TOKEN = {"401": "The token is missing or another one."}
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "argument": {"type": "string"}},
    "required": ["error"],
}
CALL = {
    "operationId": "call",
    "summary": "Call a method by a query.",
    "description": "As in GatewayWorker's manual: `?method=sendToAll&args[]=hello`. Answers `ok` or `fail`; to a query "
    "JSON.",
    "parameters": [
        {"name": "method", "in": "query", "required": True, "schema": {"type": "string"}},
        {"name": "args[]", "in": "query", "schema": {"type": "array", "items": {"type": "string"}}},
    ],
}


def describe(root: str, has_token: bool) -> Schema:
    """Make the document.

    Args:
        root: the path at which the app is mounted.
    """
    security: Schema = {"security": [{"token": []}]} if has_token else {}
    schemes: Schema = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if has_token else {}
    answers = {"text/plain": {"schema": {"enum": ["ok", "fail"]}}, "application/json": {"schema": {}}}
    paths: Schema = {"/": {"get": CALL | {"responses": _responses("What it gives.", answers, has_token, ("403",))}}}
    for method in METHODS.values():
        paths[f"/api/{method.name}"] = {"post": _operation(method, has_token)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate push API", "version": "1"},
        "servers": [{"url": root or "/"}],
        "paths": paths,
        "components": {"schemas": {"Error": ERROR, **SCHEMAS}, **schemes},
        **security,
    }


def _operation(method: Method, has_token: bool) -> Schema:
    required = [parameter.name for parameter in method.parameters.values() if parameter.is_required]
    body: Schema = {
        "type": "object",
        "properties": {parameter.name: _property(parameter) for parameter in method.parameters.values()},
        "additionalProperties": False,
    } | ({"required": required} if required else {})
    result = {"type": "object", "properties": {"result": result_schema(method.result)}, "required": ["result"]}
    content = {"application/json": {"schema": result}}
    return {
        "operationId": method.name,
        "summary": method.description,
        "requestBody": {"required": bool(required), "content": {"application/json": {"schema": body}}},
        "responses": _responses("Done.", content, has_token, tuple(REFUSALS)),
    }


def _property(parameter: Parameter) -> Schema:
    schema = dict(parameter.kind.schema)
    if parameter.is_nullable:
        schema = {"anyOf": [*schema.pop("anyOf", [schema]), {"type": "null"}]}
    if parameter.name in ARGUMENTS:
        schema["description"] = ARGUMENTS[parameter.name]
    return schema


def _responses(description: str, content: Schema, has_token: bool, refusals: tuple[str, ...]) -> Schema:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    told = {status: REFUSALS[status] for status in refusals if status != "403" or not has_token}
    told |= NO_TOKEN if has_token else {}
    found = {status: {"description": why, "content": error} for status, why in told.items()}
    return {"200": {"description": description, "content": content}, **found}
