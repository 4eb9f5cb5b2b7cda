"""``python -m tidegate``: the command line, and what the supervisor executes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tidegate.process.launch import CHILD, SUPERVISE

if TYPE_CHECKING:
    from tidegate.process.member import Member


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 2 else ""
    if what == CHILD:
        from tidegate.app import App
        from tidegate.process import child

        sys.exit(child.main(int(sys.argv[2]), App, {"Gateway": _gateway, "Register": _register}))
    from tidegate import cli

    if what == SUPERVISE:
        sys.exit(cli.supervise(int(sys.argv[2])))
    cli.main()


def _gateway(settings: Mapping[str, Any]) -> Member:
    from tidegate.gateway.gateway import Gateway

    return Gateway.from_settings(settings)


def _register(settings: Mapping[str, Any]) -> Member:
    from tidegate.register.register import Register

    return Register.from_settings(settings)


if __name__ == "__main__":
    main()
