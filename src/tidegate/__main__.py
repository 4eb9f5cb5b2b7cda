"""``python -m tidegate``: the command line, and what the supervisor executes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tidegate.process.launch import CHILD, SUPERVISE

if TYPE_CHECKING:
    from tidegate.process.member import Member


def main() -> None:
    what = sys.argv[1] if len(sys.argv) > 2 else ""
    if what == CHILD:
        from tidegate.app import App
        from tidegate.gateway.gateway import Gateway
        from tidegate.process import child
        from tidegate.register.register import Register

        kinds: dict[str, Callable[[Mapping[str, Any]], Member]]
        kinds = {"Gateway": Gateway.from_settings, "Register": Register.from_settings}
        sys.exit(child.main(int(sys.argv[2]), App, kinds))
    from tidegate import cli

    if what == SUPERVISE:
        sys.exit(cli.supervise(int(sys.argv[2])))
    cli.main()


if __name__ == "__main__":
    main()
