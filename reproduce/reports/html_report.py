"""All pages as one HTML file that needs no network: tables that sort, figures as SVG, light and dark."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping, Sequence

from reproduce.reports.document import Block, Bullets, Document, Figure, Folded, Section, Table
from reproduce.reports.renderers import cell_text

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --line: #d8d8d8; --soft: #f5f6f8; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e4e4; --paper: #15181c; --line: #3a3f46; --soft: #1e2228; --link: #8ab8f0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 900px; padding: 1rem 2rem 4rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; }
nav { position: sticky; top: 0; padding: .5rem 0; background: var(--paper); border-bottom: 1px solid var(--line); }
nav a { margin-right: .9rem; white-space: nowrap; }
a { color: var(--link); }
article { border-top: 3px solid var(--line); margin-top: 3rem; scroll-margin-top: 3rem; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; vertical-align: top; }
th { cursor: pointer; background: var(--soft); }
th.label, td.label { text-align: left; }
figure { margin: 1rem 0; }
figure img { width: 100%; background: #fff; border-radius: 4px; }
figcaption, footer { font-size: 14px; }
details { border: 1px solid var(--line); border-radius: 4px; padding: .4rem .8rem; margin: .8rem 0; }
summary { cursor: pointer; }
code { background: var(--soft); padding: 0 .2rem; overflow-wrap: anywhere; }
""".strip()
SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  table.querySelectorAll("th").forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "descending";
      table.querySelectorAll("th").forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "ascending" : "descending");
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)], numbers = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
        return numbers ? x - y : x.localeCompare(y);
      });
      table.tBodies[0].append(...(down ? rows : rows.reverse()));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
  });
}
""".strip()


def report(documents: Mapping[str, Document], title: str = "Results") -> str:
    """Return one HTML file with all documents, which link each other by anchors.

    Args:
        documents: by the name of the page's Markdown file, such as "table2.md".
        title: of the whole file.
    """
    anchors = {name: name.removesuffix(".md").lower() for name in documents}
    names = {anchor: "results" if anchor == "readme" else anchor for anchor in anchors.values()}
    links = "".join(f'<a href="#{anchor}">{html.escape(name)}</a>' for anchor, name in names.items())
    articles = [_article(anchors[name], document, anchors) for name, document in documents.items()]
    return "\n".join(
        [
            "<!DOCTYPE html>",
            f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>\n{STYLE}\n</style></head><body>",
            f"<nav>{links}</nav>",
            *articles,
            f"<script>\n{SCRIPT}\n</script></body></html>",
            "",
        ]
    )


def _article(anchor: str, document: Document, anchors: Mapping[str, str]) -> str:
    parts = [f"<h1>{_inline(document.title, anchors)}</h1>", _paragraph(document.introduction, anchors)]
    parts.append(_list(document.answer, anchors))
    parts += [_block(block, 2, anchors) for block in document.parts]
    foot = f"<footer>{_inline(document.foot, anchors)}</footer>" if document.foot else ""
    return "\n".join([f'<article id="{anchor}">', *filter(None, parts), foot, "</article>"])


def _block(block: Block, level: int, anchors: Mapping[str, str]) -> str:
    match block:
        case str():
            return _paragraph(block, anchors)
        case Bullets():
            return _list(block.lines, anchors)
        case Table():
            return _table(block, anchors)
        case Figure():
            svg = base64.b64encode(block.files[f"{block.name}.svg"]).decode()
            image = f'<img alt="{html.escape(block.alt)}" src="data:image/svg+xml;base64,{svg}">'
            return f"<figure>{image}<figcaption>{_inline(block.caption, anchors)}</figcaption></figure>"
        case Folded():
            inner = "\n".join(_block(part, level + 1, anchors) for part in block.parts)
            return f"<details><summary>{_inline(block.summary, anchors)}</summary>\n{inner}\n</details>"
        case Section():
            inner = "\n".join(_block(part, level + 1, anchors) for part in block.parts)
            return f"<section><h{level}>{_inline(block.title, anchors)}</h{level}>\n{inner}\n</section>"


def _table(table: Table, anchors: Mapping[str, str]) -> str:
    """Return a table whose cells carry the plain value to sort by."""

    def cell(tag: str, i: int, content: str, value: object = None) -> str:
        kind = ' class="label"' if i < table.labels else ""
        data = "" if value is None else f' data-value="{html.escape(str(value))}"'
        return f"<{tag}{kind}{data}>{content}</{tag}>"

    head = "".join(cell("th", i, _inline(name, anchors)) for i, name in enumerate(table.columns))
    rows = []
    for row in table.rows:
        values = [getattr(one, "value", getattr(one, "recall", one)) for one in row]
        plain = [value if isinstance(value, int | float) else None for value in values]
        texts = [_inline(cell_text(one), anchors) for one in row]
        cells = [cell("td", i, text, value) for i, (text, value) in enumerate(zip(texts, plain, strict=True))]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>"


def _paragraph(text: str, anchors: Mapping[str, str]) -> str:
    return f"<p>{_inline(text, anchors)}</p>" if text else ""


def _list(lines: Sequence[str], anchors: Mapping[str, str]) -> str:
    items = "".join(f"<li>{_inline(line, anchors)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def _inline(text: str, anchors: Mapping[str, str]) -> str:
    """Return a text with its four marks as HTML; a link to a file that is not in the report keeps its words only."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(
        f"<code>{html.escape(part[1:-1])}</code>" if i % 2 else _marked(html.escape(part, quote=False), anchors)
        for i, part in enumerate(parts)
    )


def _marked(text: str, anchors: Mapping[str, str]) -> str:
    def link(match: re.Match[str]) -> str:
        words, address = match.groups()
        file = address.partition("#")[0]
        if file in anchors:
            return f'<a href="#{anchors[file]}">{words}</a>'
        return f'<a href="{html.escape(address)}">{words}</a>' if address.startswith("https://") else words

    text = re.sub(r"\[([^]]*)\]\(([^)]*)\)", link, text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"(?<!\w)\*(\S(?:.*?\S)?)\*(?!\w)", r"<em>\1</em>", text)
