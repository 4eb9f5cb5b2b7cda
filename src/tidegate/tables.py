"""What the command line prints: tables for people."""

from __future__ import annotations

from typing import Any

import click

__all__ = ["announce", "connections", "status"]


def _print(title: str, columns: list[str], rows: list[list[str]]) -> None:
    # Here, since all that `tidegate` is asked to do would wait for it otherwise, and most of that prints no table.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold", justify="right" if column in NUMERIC else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console = Console(soft_wrap=False)
    if not console.is_terminal:  # into a file or a pipe: lines as long as they need to be
        console = Console(width=240)
    console.print(table)


NUMERIC = {"count", "memory", "conns", "in", "out", "msg/s", "failed", "uptime", "total", "idle", "queued"}


def announce(app: str, rows: list[dict[str, Any]]) -> None:
    """What listens where."""
    _print(
        f"tidegate: {app}",
        ["worker", "kind", "count", "listening"],
        [[row["name"], row["kind"], str(row["count"]), " ".join(row["listen"]) or "-"] for row in rows],
    )


def status(found: dict[str, Any]) -> None:
    """A line for each process."""
    _print(
        f"{found['app']} ({found['target']}), supervisor {found['pid']}",
        ["pid", "role", "state", "listening", "memory", "conns", "in", "out", "msg/s", "failed", "uptime", "exits"],
        [
            [
                _or_dash(row["pid"]),
                row["role"],
                row["state"],
                " ".join(row["listen"]) or "-",
                f"{row['memory'] / 1e6:.1f} MB" if row["memory"] is not None else "-",
                _or_dash(row["connections"]),
                _or_dash(row["messages_in"]),
                _or_dash(row["messages_out"]),
                f"{row['rate']:.0f}" if row["rate"] is not None else "-",
                _or_dash(row["send_failures"]),
                _duration(row["uptime"]),
                " ".join(f"{code}×{times}" for code, times in row["exits"].items()) or "-",
            ]
            for row in found["processes"]
        ],
    )
    hits = [f"{row['role']} {' '.join(counts)}" for row in found["processes"] if (counts := _limits_hit(row))]
    if hits:
        click.echo(f"limits hit: {', '.join(hits)}")


LIMITS = ("accept_pauses", "inner_accept_pauses", "refused_connections", "refused_addresses", "refused_proxies",
          "dropped_handshakes", "late_handshakes", "large_requests", "large_messages", "rate_pauses", "rate_closes",
          "slow_consumers", "refused_groups", "refused_sessions", "unauthenticated_clients")  # fmt: skip


def _limits_hit(row: dict[str, Any]) -> list[str]:
    """What a process has counted of them."""
    counters = {**row, **(row.get("extra") or {})}
    return [f"{name}={counters[name]}" for name in LIMITS if counters.get(name)]


def connections(found: dict[str, Any]) -> None:
    """A line for each connection."""
    shown = len(found["rows"])
    _print(
        f"{found['total']} connections" + (f", {shown} shown" if shown < found["total"] else ""),
        ["pid", "worker", "id", "remote", "listening", "idle", "queued"],
        [
            [
                str(row["pid"]),
                row["worker"],
                str(row["id"]),
                row["remote"],
                row["listen"],
                "-" if row["idle"] is None else f"{row['idle']} s",
                str(row["queued"]),
            ]
            for row in found["rows"]
        ],
    )


def _or_dash(value: object) -> str:
    return "-" if value is None else str(value)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d {hours}h"
    return f"{hours}:{minutes:02}:{rest:02}"
