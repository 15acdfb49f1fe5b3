"""Documents and tables as Markdown, as text for a terminal, as HTML, and as LaTeX, CSV and JSON."""

from __future__ import annotations

import base64
import html as escaping
import json
import math
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd
from tabulate import tabulate

from reproduce.paper.numbers import Score
from reproduce.reports.document import (
    Block,
    Bullets,
    Cell,
    Document,
    Figure,
    Folded,
    Number,
    Section,
    Table,
    score_text,
)

WIDTH = 100  # columns of a terminal
LEAST = 22  # of the longest label in a table
BOLD = "*"  # around what is bold elsewhere, on a terminal
SPACE = "\N{NO-BREAK SPACE}"
LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
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
LINK = re.compile(r"\[([^]]*)\]\(([^)]*)\)")


def cell_text(cell: Cell) -> str:
    """Return a cell as text, its mark included; numbers have no-break spaces."""
    match cell:
        case None:
            return ""
        case int():
            return f"{cell:,}"
        case Score():
            return score_text(cell).replace(" ", SPACE)
        case Number():
            text = {"bold": f"**{cell.text}**", "close": f"≈ {cell.text}"}.get(cell.mark, cell.text)
            return f"{text} {cell.notes}".rstrip().replace(" ", SPACE)
        case _:
            return cell


def _aligned(table: Table) -> list[str]:
    return ["left"] * table.labels + ["right"] * (len(table.columns) - table.labels)


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
        case Table(lines=[]):
            return ""
        case Table():
            rows = [[cell_text(cell).replace("|", "\\|") for cell in row] for row in block.rows]
            heads = [name.replace("|", "\\|") for name in block.columns]
            return tabulate(rows, heads, tablefmt="pipe", colalign=_aligned(block), disable_numparse=True)
        case Figure():
            svg = f"([SVG](figures/{block.name}.svg))"
            return f"![{block.alt}](figures/{block.name}.png)\n\n*{block.caption}* {svg}"
        case Section() | Folded():
            inner = [text for part in block.parts if (text := _markdown(part, level + 1))]
            if isinstance(block, Section):
                return "\n\n".join([f"{'#' * level} {block.title}", *inner])
            return "\n\n".join([f"<details><summary>{block.title}</summary>", *inner, "</details>"])


# A terminal


def terminal(document: Document, width: int = WIDTH) -> str:
    """Return the answer, the notes and the tables of the data sets asked for, at most `width` columns wide."""
    parts = [document.title, _wrapped(document.introduction, width), _wrapped(_bullets(document.answer), width, "  ")]
    parts += list(_terminal(document.parts, document.shown, width))
    return "\n\n".join(filter(None, parts)) + "\n"


def _terminal(blocks: Sequence[Block], shown: Sequence[str], width: int) -> Iterator[str]:
    for block in blocks:
        match block:
            case str():
                yield _wrapped(block, width)
            case Bullets():
                yield _wrapped(_bullets(block.lines), width, "  ")
            case Table() if block.lines:
                yield from _plain_tables(block, width)
            case Folded(on_terminal=True):
                yield from _terminal(block.parts, shown, width)
            case Section() if not (shown and block.dataset) or block.dataset in shown:
                yield block.title
                yield from _terminal(block.parts, shown, width)


def plain(text: str, bold: str = "") -> str:
    """Return a text without the marks of Markdown, and `bold` in place of **; a link keeps its words."""
    marks = r"\*\*|(?<!\w)\*(?=\S)|(?<=\S)\*(?!\w)|`"
    return re.sub(marks, lambda mark: bold if mark[0] == "**" else "", LINK.sub(r"\1", text))


def _wrapped(text: str, width: int, indent: str = "") -> str:
    how: dict[str, Any] = {"subsequent_indent": indent, "break_long_words": False, "break_on_hyphens": False}
    return "\n".join(textwrap.fill(line, width, **how) for line in plain(text, BOLD).splitlines())


def _plain_tables(table: Table, width: int) -> Iterator[str]:
    """Yield a table, or several if its columns do not fit beside each other; each repeats the labels."""
    texts = [[plain(cell_text(cell), BOLD).replace(SPACE, " ") for cell in row] for row in table.rows]
    heads = [name.replace(": ", ":\n") for name in table.columns]
    labels, columns = list(range(table.labels)), list(range(table.labels, len(heads)))
    _wrap_labels([heads, *texts], len(labels), width)
    while True:
        for n in range(len(columns), -1, -1):
            kept = [*labels, *columns[:n]]
            rows, align = [[row[i] for i in kept] for row in texts], _aligned(table)[: len(kept)]
            text = tabulate(rows, [heads[i] for i in kept], "simple", colalign=align, disable_numparse=True)
            if n <= 1 or max(map(len, text.splitlines())) <= width:
                break
        yield text
        columns = columns[n:]
        if not columns:
            return


def _wrap_labels(lines: Sequence[list[str]], labels: int, width: int) -> None:
    """Break the first columns, the labels, if they leave no room for another: at commas, the longest anywhere."""
    columns = range(len(lines[0]))

    def wide(i: int) -> int:
        """Return the width of a column and the gap behind it; tabulate makes a column two wider than its head."""
        return 2 + max(len(part) + 2 * (line is lines[0]) for line in lines for part in line[i].split("\n"))

    if sum(map(wide, columns[: labels + 1])) <= width:
        return
    *others, longest = sorted(columns[:labels], key=wide)
    for line in lines:
        for i in others:
            line[i] = line[i].replace(", ", ",\n")
    room = width - sum(wide(i) for i in columns if i != longest)
    if room < LEAST:  # the columns do not fit beside each other anyway
        room = max(LEAST, width - sum(map(wide, others)) - max(map(wide, columns[labels:]), default=0))
    for line in lines:
        line[longest] = textwrap.fill(line[longest], room, break_on_hyphens=False)


# HTML


TEMPLATE = Path(__file__).with_name("report.html")


def html(documents: Mapping[str, Document], title: str = "Results") -> str:
    """Return all documents as one HTML file that needs no network: tables that sort, figures as SVG, light and dark.

    Args:
        documents: by the name of the page's Markdown file, such as "table2.md"; links to these become anchors.
        title: of the whole file.
    """
    anchors = {name: name.removesuffix(".md").lower() for name in documents}

    def link(match: re.Match[str]) -> str:
        words, address = match.groups()
        anchor = anchors.get(address.partition("#")[0])
        if anchor is None and not address.startswith("https://"):
            return words  # the file is not in the report
        address = address.replace('"', "&quot;")  # a record may come from a stranger
        return f'<a href="{address if anchor is None else f"#{anchor}"}">{words}</a>'

    names = {anchor: "results" if anchor == "readme" else anchor for anchor in anchors.values()}
    links = "".join(f'<a href="#{anchor}">{escaping.escape(name)}</a>' for anchor, name in names.items())
    articles = "\n".join(_article(anchors[name], document, link) for name, document in documents.items())
    page = Template(TEMPLATE.read_text(encoding="utf-8"))
    return page.substitute(title=escaping.escape(title), links=links, articles=articles)


def _article(anchor: str, document: Document, link: Callable[[re.Match[str]], str]) -> str:
    """Return a document as HTML; `link` returns that of a link in Markdown."""

    def inline(text: str) -> str:
        parts = re.split(r"(`[^`]*`)", text)
        return "".join(
            f"<code>{escaping.escape(part[1:-1])}</code>" if i % 2 else marked(escaping.escape(part, quote=False))
            for i, part in enumerate(parts)
        )

    def marked(text: str) -> str:
        text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", LINK.sub(link, text))
        return re.sub(r"(?<!\w)\*(\S(?:.*?\S)?)\*(?!\w)", r"<em>\1</em>", text)

    def cell(tag: str, column: int, labels: int, content: Cell) -> str:
        kind = ' class="label"' if column < labels else ""
        value = getattr(content, "value", getattr(content, "recall", content))  # to sort by
        data = f' data-value="{value}"' if isinstance(value, int | float) else ""
        return f"<{tag}{kind}{data}>{inline(cell_text(content))}</{tag}>"

    def rendered(block: Block, level: int) -> str:
        match block:
            case str():
                return f"<p>{inline(block)}</p>" if block else ""
            case Bullets():
                items = "".join(f"<li>{inline(line)}</li>" for line in block.lines)
                return f"<ul>{items}</ul>" if items else ""
            case Table(lines=[]):
                return ""
            case Table():
                head, *rows = [
                    "".join(cell("td" if i else "th", j, block.labels, content) for j, content in enumerate(row))
                    for i, row in enumerate(block.grid)
                ]
                body = "\n".join(f"<tr>{row}</tr>" for row in rows)
                return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table>"
            case Figure():
                svg = base64.b64encode(block.files[f"{block.name}.svg"]).decode()
                image = f'<img alt="{escaping.escape(block.alt)}" src="data:image/svg+xml;base64,{svg}">'
                return f"<figure>{image}<figcaption>{inline(block.caption)}</figcaption></figure>"
            case Section() | Folded():
                inner = "\n".join(filter(None, (rendered(part, level + 1) for part in block.parts)))
                if isinstance(block, Section):
                    return f"<section><h{level}>{inline(block.title)}</h{level}>\n{inner}\n</section>"
                return f"<details><summary>{inline(block.title)}</summary>\n{inner}\n</details>"

    parts = [f"<h1>{inline(document.title)}</h1>"]
    parts += [rendered(part, 2) for part in (document.introduction, Bullets(document.answer), *document.parts)]
    foot = f"<footer>{inline(document.foot)}</footer>" if document.foot else ""
    return "\n".join([f'<article id="{anchor}">', *filter(None, parts), foot, "</article>"])


# LaTeX, CSV, JSON


def latex(name: str, caption: str, table: Table) -> str:
    """Return a table as a LaTeX float with the rules of booktabs."""
    head, *rows = [[latex_text(cell_text(cell)) for cell in row] for row in table.grid]
    body = tabulate(rows, head, "latex_raw", colalign=_aligned(table), disable_numparse=True)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        body = body.replace(r"\hline", rule, 1)
    above = ["\\begin{table}", "\\centering", f"\\caption{{{latex_text(caption)}}}", f"\\label{{tab:{name}}}"]
    return "\n".join([*above, body, "\\end{table}", ""])


def latex_text(text: str) -> str:
    """Return the text of a cell or a caption in LaTeX, with **bold** as \\textbf."""
    parts = LINK.sub(r"\1", text).replace("`", "").split("**")
    escaped = ["".join(LATEX.get(sign, sign) for sign in part) for part in parts]
    return "".join(f"\\textbf{{{part}}}" if i % 2 else part for i, part in enumerate(escaped))


def csv(rows: pd.DataFrame | Sequence[Mapping[str, object]]) -> str:
    """Return plain values as CSV, numbers with at most six digits."""
    return str(pd.DataFrame(rows).to_csv(index=False, float_format="%.6g", lineterminator="\n"))


def as_json(name: str, caption: str, table: Table) -> str:
    """Return the plain values of a table as JSON, with its caption; a number that is not finite is null."""
    rows = [{key: _plain_value(value) for key, value in row.items()} for row in table.frame().to_dict("records")]
    content = {"name": name, "caption": plain(caption), "columns": table.columns, "rows": rows}
    return json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _plain_value(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if hasattr(value, "item") else plain(value) if isinstance(value, str) else value
