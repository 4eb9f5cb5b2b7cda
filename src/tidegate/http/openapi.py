"""The OpenAPI document of the push API, made from its methods' signatures.

It has the methods as they are POSTed. The GET in GatewayWorker's form, which answers 200 whatever happens, is for those
who have it already.
"""

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
    "token": "A new one, as the client would show it when it connects.",
    "raw": "The message is encoded for the client already, and is sent as it is.",
}
"""What those are for whose name and type don't tell."""
REFUSALS = {
    "400": "The body is no JSON.",
    "404": "The cluster has no such gateway as a client id names: that client is gone. Others have been served.",
    "408": "The body did not come in time.",
    "413": "The body is too long.",
    "415": "The body is said to be no JSON.",
    "422": "An argument is wrong, not known or missing; `argument` says which.",
    "503": "The cluster, or a part of it, can't be reached or does not answer.",
}
NOT_SHOWN = "The token is missing, or another one."
NOT_FROM_HERE = "The request comes from elsewhere, or from a web page."
ERROR = {
    "type": "object",
    "properties": {"error": {"type": "string"}, "argument": {"type": "string"}},
    "required": ["error"],
}


def describe(root: str, has_token: bool) -> Schema:
    """Make the document.

    Args:
        root: the path at which the app is mounted.
    """
    security: Schema = {"security": [{"token": []}]} if has_token else {}
    schemes: Schema = {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}} if has_token else {}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tidegate push API", "version": "1"},
        "servers": [{"url": root or "/"}],
        "paths": {f"/api/{method.name}": {"post": _operation(method, has_token)} for method in METHODS.values()},
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
        "responses": {"200": {"description": "Done.", "content": content}, **_refusals(has_token)},
    }


def _property(parameter: Parameter) -> Schema:
    schema = dict(parameter.kind.schema)
    if parameter.is_nullable:
        schema = {"anyOf": [*schema.pop("anyOf", [schema]), {"type": "null"}]}
    if parameter.name in ARGUMENTS:
        schema["description"] = ARGUMENTS[parameter.name]
    return schema


def _refusals(has_token: bool) -> Schema:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    told = {**REFUSALS, **({"401": NOT_SHOWN} if has_token else {"403": NOT_FROM_HERE})}
    return {status: {"description": why, "content": error} for status, why in told.items()}
