"""The methods of the push API as HTTP knows them: their names and arguments, from their signatures.

What is not a method of the push API has no name here, whatever attributes the object that carries it out has.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_type_hints

from tidegate.client.api import AsyncPushAPI
from tidegate.http.kinds import KINDS, Kind
from tidegate.http.message import Refusal

__all__ = ["METHODS", "Method", "Parameter", "find_method"]

ALIASES = {
    "destoryclient": "destroy_client",
    "getallclientinfo": "get_all_client_sessions",
    "getclientinfobygroup": "get_client_sessions_by_group",
}
"""Names that GatewayWorker has besides, in lower case."""
SHOWN = 60
"""Characters of a name that is not known, in an error."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """Of a method.

    Attributes:
        is_nullable: None, the default, stands for nothing.
    """

    name: str
    kind: Kind
    is_required: bool
    is_nullable: bool

    def read(self, value: Any) -> Any:
        """Make the argument of what JSON or a query brought.

        Raises:
            Refusal: it is none; 422.
        """
        if value is None and self.is_nullable:
            return None
        try:
            return self.kind.read(value)
        except ValueError as error:
            raise Refusal(422, f"the argument {self.name!r} is not right: {error}", argument=self.name) from None


@dataclass(frozen=True, slots=True)
class Method:
    """One of them.

    Attributes:
        name: in snake case.
        description: the first line of its docstring.
        result: what it gives, as a type.
    """

    name: str
    description: str
    parameters: Mapping[str, Parameter]
    result: Any

    @property
    def is_query(self) -> bool:
        """Whether it gives something."""
        return self.result is not None

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Make its arguments of what JSON or a query brought, by their names.

        Raises:
            Refusal: which says which argument is wrong, not known or missing; 422.
        """
        for name in arguments:
            if name not in self.parameters:
                known = ", ".join(self.parameters) or "none"
                shown = str(name)[:SHOWN]
                raise Refusal(422, f"{self.name} has no argument {shown!r}; it takes: {known}", argument=shown)
        for parameter in self.parameters.values():
            if parameter.is_required and parameter.name not in arguments:
                raise Refusal(422, f"{self.name} needs the argument {parameter.name!r}", argument=parameter.name)
        return {name: self.parameters[name].read(value) for name, value in arguments.items()}


def _read_method(name: str, function: Callable[..., Any]) -> Method:
    hints = get_type_hints(function, include_extras=True)
    parameters = {}
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        is_nullable = parameter.default is None
        parameters[parameter.name] = Parameter(
            parameter.name,
            KINDS[_without_none(hints[parameter.name]) if is_nullable else hints[parameter.name]],
            parameter.default is parameter.empty,
            is_nullable,
        )
    description = (inspect.getdoc(function) or "").partition("\n")[0].replace("``", "`")
    return Method(name, description, parameters, get_args(hints["return"])[0])


def _without_none(annotation: Any) -> Any:
    """The kind whose type, with None beside it, this is."""
    return next(kind for kind in KINDS if kind | None == annotation)


METHODS: Mapping[str, Method] = {
    name: _read_method(name, function)
    for name, function in vars(AsyncPushAPI).items()
    if inspect.isfunction(function) and not name.startswith("_")
}
"""By their names in snake case."""

_BY_SPELLING = {name.replace("_", ""): method for name, method in METHODS.items()}
_BY_SPELLING |= {alias: METHODS[name] for alias, name in ALIASES.items()}


def find_method(name: str) -> Method | None:
    """Find a method by its name in snake case, or as GatewayWorker spells it; PHP does not mind capitals in those."""
    return METHODS.get(name) or _BY_SPELLING.get(name.lower())
