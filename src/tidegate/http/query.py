"""A call of the push API in a query string, as PHP has it: ``?method=sendToAll&args[]=hello``.

Arguments are taken in the order in which they are written, whatever their numbers are, as PHP's
``call_user_func_array`` does, and those that have a name by that.
"""

from __future__ import annotations

from typing import Any

from tidegate.client.arguments import Session
from tidegate.http.kinds import KINDS
from tidegate.http.message import Refusal
from tidegate.http.methods import Method, Parameter, find_method
from tidegate.wire import php
from tidegate.wire.query_string import parse_str

__all__ = ["MAX_QUERY", "read_call"]

MAX_QUERY = 65536
"""Bytes."""
SWITCHES = {"": False, "0": False, "false": False, "1": True, "true": True}


def read_call(query: bytes) -> tuple[Method, dict[str, Any]]:
    """Read which method is called, and its arguments.

    Raises:
        Refusal: there is no such method, or it does not take such arguments.
    """
    if len(query) > MAX_QUERY:
        raise Refusal(414, f"the query has more than {MAX_QUERY} bytes: POST takes more")
    variables = php.loads_array(php.dumps(parse_str(query)))
    name = variables.get("method")
    method = find_method(name) if isinstance(name, str) else None
    if method is None:
        raise Refusal(404, f"the push API has no method {name!r}"[:100])
    args = variables.get("args", {})
    if not isinstance(args, dict | list):
        raise Refusal(422, "arguments are written args[]=…, one after the other")
    values = dict(enumerate(args)) if isinstance(args, list) else args
    return method, method.read(_by_name(method, values))


def _by_name(method: Method, values: dict[Any, Any]) -> dict[str, Any]:
    parameters = iter(method.parameters.values())
    found: dict[str, Any] = {}
    for key, value in values.items():
        parameter = next(parameters, None) if isinstance(key, int) else method.parameters.get(key)
        if parameter is None:
            what = "more arguments than it takes" if isinstance(key, int) else f"the argument {key!r}"
            raise Refusal(422, f"{method.name} was given {what}"[:100])
        if parameter.name in found:
            raise Refusal(422, f"{method.name} was given {parameter.name!r} twice", argument=parameter.name)
        found[parameter.name] = _as_json_has_it(parameter, value)
    return found


def _as_json_has_it(parameter: Parameter, value: Any) -> Any:
    """A query has texts and arrays only."""
    if value == "" and parameter.is_nullable:
        return None
    kind = parameter.kind
    if kind is KINDS[bool] and isinstance(value, str):
        return SWITCHES.get(value.lower(), value)
    if kind is KINDS[Session] and isinstance(value, list):
        return dict(enumerate(value))
    if kind.takes_many and isinstance(value, dict):
        return list(value.values())
    return value
