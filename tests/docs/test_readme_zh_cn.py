"""README.zh-CN.md keeps step with README.md: the same headings, code, pictures and links, in the same order."""

from __future__ import annotations

import re
from pathlib import Path

from tests.docs.support import ROOT, blocks

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def text_of(page: Path) -> str:
    """Without the line that leads to the other one."""
    lines = page.read_text().splitlines(keepends=True)
    return "".join(line for line in lines if not ("English" in line and "简体中文" in line))


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)]*)\)", text_of(page))


def commands(page: Path) -> list[str]:
    """Lines that are indented, without what they say of themselves."""
    return [
        re.sub(r" +# .*", "", line)
        for line in re.findall(r"^    .*", re.sub(r"^```.*?^```", "", text_of(page), flags=re.M | re.S), re.M)
    ]


def test_each_leads_to_the_other() -> None:
    assert f"]({CHINESE.name})" in ENGLISH.read_text()
    assert f"]({ENGLISH.name})" in CHINESE.read_text()


def test_it_has_the_same_code() -> None:
    languages = re.findall(r"^```(\w+)$", text_of(ENGLISH), re.M)
    assert re.findall(r"^```(\w+)$", text_of(CHINESE), re.M) == languages
    for language in languages:
        assert blocks(CHINESE, language) == blocks(ENGLISH, language)
    assert commands(CHINESE) == commands(ENGLISH) != []


def test_it_has_the_same_links_and_pictures() -> None:
    assert links(CHINESE) == links(ENGLISH)


def test_it_has_the_same_headings_and_what_is_code_in_the_text() -> None:
    for pattern in (r"^#+(?= )", r"^(?:- \*\*|\| )"):
        assert re.findall(pattern, text_of(CHINESE), re.M) == re.findall(pattern, text_of(ENGLISH), re.M)
    assert set(re.findall(r"`[^`\n]+`", text_of(CHINESE))) >= set(re.findall(r"`[^`\n]+`", text_of(ENGLISH)))
