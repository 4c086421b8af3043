"""Writes the generated parts of docs/ again: `make docs`. A test says when this was forgotten."""

from __future__ import annotations

from pathlib import Path

from auroramon import readers, reference

DOCS = Path(__file__).resolve().parent
BEGIN, END = "<!-- generated: begin -->\n", "<!-- generated: end -->\n"

PARTS = {"config.md": reference.markdown, "formats.md": readers.table}
"""Document -> what stands between its two marks; the rest of it is written by hand."""


def renewed(name: str) -> str:
    """Give the text of a document with its generated part made anew.

    Raises:
        ValueError: it has not exactly one part to generate.
    """
    text = (DOCS / name).read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or BEGIN in old:
        raise ValueError(f"docs/{name} needs one part between {BEGIN.strip()} and {END.strip()}")
    return f"{before}{BEGIN}\n{PARTS[name]().strip()}\n\n{END}{after}"


def main() -> None:
    for name in PARTS:
        text = renewed(name)
        if text != (DOCS / name).read_text(encoding="utf-8"):
            (DOCS / name).write_text(text, encoding="utf-8")
            print(f"docs/{name} is new")


if __name__ == "__main__":
    main()
