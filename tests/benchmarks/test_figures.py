"""What is made of figures: medians, ratios, and the chart."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import report
from benchmarks.figures import Row
from benchmarks.wire import KINDS, client_frame, message, pair


def row(server: str, value: float) -> Row:
    made = Row("one at a time", "frames a second", "bare send loop in C", "fanout 1", server)
    made.add(value, 100_000.0, 0.4)
    return made


def test_a_ratio_is_of_figures_of_the_same_run() -> None:
    made = Row("label", "unit", "reference")
    for value, reference in ((10.0, 100.0), (30.0, 60.0), (90.0, 100.0)):
        made.add(value, reference)
    assert made.ratio == 0.5


def test_a_row_without_a_reference_has_no_ratio() -> None:
    made = Row("p99", "ms")
    made.add(12.0)
    assert "ratio" not in made.as_dict()
    assert "12.0 ms" in str(made)


def test_a_load_that_cost_more_than_the_server_is_told() -> None:
    made = Row("label", "unit")
    made.add(1.0, load=1.2)
    assert "may be what limits" in str(made)


def test_the_chart_has_every_server_and_the_reference_best_first(tmp_path: Path) -> None:
    file, svg = tmp_path / "found.json", tmp_path / "chart.svg"
    rows = [row("Tidegate", 90_000.0).as_dict(), row("A & <B>", 95_000.0).as_dict()]
    file.write_text(json.dumps({"benchmarks": {"fanout": {"rows": rows}}}))
    report.write([str(file)], str(svg))
    texts = [element.text for element in ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[1::2][:3] == ["bare send loop in C", "A & <B>", "Tidegate"]
    assert "prefers-color-scheme: dark" in svg.read_text()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"benchmarks": {}}'])
def test_a_file_without_figures_is_refused(tmp_path: Path, content: str) -> None:
    file = tmp_path / "found.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=r"json|nothing to draw"):
        report.write([str(file)], str(tmp_path / "chart.svg"))


@pytest.mark.parametrize("kind", KINDS)
def test_messages_of_a_cycle_differ(kind: str) -> None:
    assert len({pair(kind, message("say", number)) for number in range(40)}) == 40


def test_a_clients_frame_is_masked() -> None:
    frame = client_frame(b"hello")
    assert frame[:2] == b"\x81\x85"
    assert bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(frame[6:])) == b"hello"
