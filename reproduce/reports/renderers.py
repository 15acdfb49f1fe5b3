"""Documents and tables as Markdown, as text for a terminal, and as LaTeX, CSV and JSON."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from tabulate import tabulate

from reproduce.reports.document import Block, Bullets, Cell, Document, Figure, Folded, Number, Scores, Section, Table

WIDTH = 100  # columns of a terminal
BOLD = "*"  # around what is bold elsewhere, on a terminal
SPACE = "\N{NO-BREAK SPACE}"
SIGNS = {
    "±": r"$\pm$",
    "−": "$-$",
    "≈": r"$\approx$",
    "×": r"$\times$",
    "–": "--",
    "—": "--",
    "→": r"$\to$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "¹": "$^1$",
    "†": r"$\dagger$",
    "·": r"$\cdot$",
    SPACE: "~",
}
SPECIAL = {sign: f"\\{sign}" for sign in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


def cell_text(cell: Cell) -> str:
    """Return a cell as text, its mark included; numbers have no-break spaces."""
    match cell:
        case None:
            return ""
        case int():
            return f"{cell:,}"
        case Scores():
            return cell.text.replace(" ", SPACE)
        case Number():
            text = {"bold": f"**{cell.text}**", "close": f"≈ {cell.text}"}.get(cell.mark, cell.text)
            return f"{text} {cell.notes}".rstrip().replace(" ", SPACE)
        case _:
            return cell


# Markdown


def markdown(document: Document) -> str:
    """Return a document as Markdown for a code forge; figures and CSV files are linked by relative paths."""
    parts = [f"# {document.title}", document.introduction, _bullets(document.answer)]
    parts += [_markdown(block, 2) for block in document.parts]
    parts.append(f"<sub>{document.foot}</sub>" if document.foot else "")
    return "\n\n".join(filter(None, parts)) + "\n"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _markdown(block: Block, level: int) -> str:
    match block:
        case str():
            return block
        case Bullets():
            return _bullets(block.lines)
        case Table():
            rows = [[cell_text(cell).replace("|", "\\|") for cell in row] for row in block.rows]
            align = ["left"] * block.labels + ["right"] * (len(block.columns) - block.labels)
            return tabulate(rows, block.columns, tablefmt="pipe", colalign=align, disable_numparse=True)
        case Figure():
            svg = f"([SVG](figures/{block.name}.svg))"
            return f"![{block.alt}](figures/{block.name}.png)\n\n*{block.caption}* {svg}"
        case Folded():
            inner = [_markdown(part, level + 1) for part in block.parts]
            summary = block.summary
            return "\n\n".join([f"<details><summary>{summary}</summary>", *filter(None, inner), "</details>"])
        case Section():
            inner = [_markdown(part, level + 1) for part in block.parts]
            return "\n\n".join([f"{'#' * level} {block.title}", *filter(None, inner)])


# A terminal


def terminal(document: Document, width: int = WIDTH) -> str:
    """Return the answer, the notes and the tables of the data sets asked for, at most `width` columns wide."""
    parts = [document.title, _wrapped(document.introduction, width)]
    parts.append("\n".join(_wrapped(f"- {line}", width, "  ") for line in document.answer))
    parts += list(_terminal(document.parts, document.shown, width))
    return "\n\n".join(filter(None, parts)) + "\n"


def _terminal(blocks: Sequence[Block], shown: Sequence[str], width: int) -> Iterator[str]:
    for block in blocks:
        match block:
            case str():
                yield _wrapped(block, width)
            case Bullets():
                yield "\n".join(_wrapped(f"- {line}", width, "  ") for line in block.lines)
            case Table():
                yield from _plain_tables(block, width)
            case Folded(on_terminal=True):
                yield from _terminal(block.parts, shown, width)
            case Section() if not (shown and block.dataset) or block.dataset in shown:
                yield block.title
                yield from _terminal(block.parts, shown, width)


def plain(text: str, bold: str = "") -> str:
    """Return a text without the marks of Markdown, and `bold` in place of **; a link keeps its words."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    marks = r"\*\*|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|`"
    return re.sub(marks, lambda mark: bold if mark[0] == "**" else "", text)


def _wrapped(text: str, width: int, indent: str = "") -> str:
    lines = plain(text, BOLD).splitlines()
    return "\n".join(
        textwrap.fill(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        for line in lines
    )


def _plain_tables(table: Table, width: int) -> Iterator[str]:
    """Yield a table, or several if its columns do not fit beside each other; each repeats the labels."""
    columns = list(range(table.labels, len(table.columns)))
    while True:
        taken = len(columns)
        while True:
            kept = [*range(table.labels), *columns[:taken]]
            rows = [[plain(cell_text(row[i]), BOLD).replace(SPACE, " ") for i in kept] for row in table.rows]
            heads = [table.columns[i].replace(": ", ":\n") for i in kept]
            align = ["left"] * table.labels + ["right"] * taken
            text = tabulate(rows, heads, tablefmt="simple", colalign=align if rows else None, disable_numparse=True)
            if taken <= 1 or max(map(len, text.splitlines())) <= width:
                break
            taken -= 1
        yield text
        columns = columns[taken:]
        if not columns:
            return


# LaTeX, CSV, JSON


def latex(name: str, caption: str, table: Table) -> str:
    """Return a table as a LaTeX float with the rules of booktabs."""
    rows = [[cell_text(cell) for cell in row] for row in table.rows]
    lines = [" & ".join(map(latex_text, row)) + r" \\" for row in (table.columns, *rows)]
    align = "l" * table.labels + "r" * (len(table.columns) - table.labels)
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering",
            f"  \\caption{{{latex_text(caption)}}}",
            f"  \\label{{tab:{name}}}",
            f"  \\begin{{tabular}}{{{align}}}",
            r"    \toprule",
            f"    {lines[0]}",
            r"    \midrule",
            *(f"    {line}" for line in lines[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def latex_text(text: str) -> str:
    """Return the text of a cell or a caption in LaTeX, with **bold** as \\textbf."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "")
    parts = ["".join(SPECIAL.get(sign) or SIGNS.get(sign, sign) for sign in part) for part in text.split("**")]
    return "".join(f"\\textbf{{{part}}}" if i % 2 else part for i, part in enumerate(parts))


def csv(table: Table) -> str:
    """Return the plain values of a table as CSV, numbers with at most six decimals."""
    return str(table.frame().to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def as_json(name: str, caption: str, table: Table) -> str:
    """Return the plain values of a table as JSON, with its caption; a number that is not finite is null."""
    rows = [{key: _plain_value(value) for key, value in row.items()} for row in table.frame().to_dict("records")]
    content = {"name": name, "caption": plain(caption), "columns": list(table.columns), "rows": rows}
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else plain(value) if isinstance(value, str) else value
