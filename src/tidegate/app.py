"""`App`: the members that run together under one supervisor."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate.errors import ConfigurationError
from tidegate.process import context
from tidegate.process.member import HasInnerPorts, JoinsApp, Member

__all__ = ["App"]


class App:
    """Several members, started and stopped as one: `Register`, `Gateway`, `BusinessWorker`, `Worker`.

    Args:
        members: each with a name of its own.

    Raises:
        ConfigurationError: where two have the same name.
    """

    def __init__(self, *members: Member) -> None:
        names: set[str] = set()
        for member in members:
            if not isinstance(member, Member):
                raise ConfigurationError(f"an App takes workers, not {member!r}")
            if member.name in names:
                raise ConfigurationError(f"two workers are called {member.name!r}: give one a name=")
            names.add(member.name)
        if not members:
            raise ConfigurationError("an App needs at least one worker")
        self.members = members
        for member in members:
            if isinstance(member, JoinsApp):
                member.joined(members)

    def describe(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Its topology, for the supervisor: ``{"workers": [{"name": …, "listen": …, "count": …}]}``.

        Raises:
            ConfigurationError: for settings that can't be, or do not go together.
        """
        rows = [row for row in (member.describe(config) for member in self.members) if row["count"]]
        self._check_inner_ports(config)
        return {"workers": rows}

    def _check_inner_ports(self, config: Mapping[str, Any]) -> None:
        holders: dict[int, str] = {}
        for member in self.members:
            if not isinstance(member, HasInnerPorts):
                continue
            for port in member.inner_ports(config):
                holder = holders.setdefault(port, member.name)
                if holder != member.name:
                    raise ConfigurationError(
                        f"gateways {holder!r} and {member.name!r} both need the inner port {port}: "
                        "give one of them another start_port="
                    )

    def run(self, argv: Sequence[str] | None = None) -> None:
        """Be the program's main part: ``python app.py start``, ``stop``, ``reload``, ``status`` and so on.

        The app's processes import the same file; there this returns at once.
        """
        if context.is_supervised():
            return
        from tidegate import cli

        cli.run_app(self._main_target(), list(sys.argv[1:] if argv is None else argv))

    def _main_target(self) -> str:
        """How the running program is called on the command line."""
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        where = str(spec.name) if spec is not None else getattr(main, "__file__", None)
        if where is None:
            raise ConfigurationError("app.run() needs a file that other processes can import")
        apps = {name: value for name, value in vars(main).items() if isinstance(value, App)}
        if len(set(map(id, apps.values()))) < 2:
            return str(where)
        return f"{where}:{next((name for name, value in apps.items() if value is self), '')}"
