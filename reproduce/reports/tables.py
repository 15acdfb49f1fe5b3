"""Write a table as CSV, as LaTeX with booktabs or as JSON, and read the tables of a page from its text."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

FORMATS = {"csv": "csv", "latex": "tex", "json": "json"}  # format -> file name extension
SIGNS = {
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
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
    "‡": r"$\ddagger$",
}
SPECIAL = {one: f"\\{one}" for one in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
}


@dataclass(frozen=True)
class Exported:
    """A table with its cells as displayed, best values as **bold**; JSON and CSV have `values` instead, if given."""

    name: str  # of its files, without the extension
    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    values: Sequence[dict[str, Any]] = field(default_factory=list)  # plain values of each row, all with the same keys

    def written(self, kind: str) -> str:
        """Return the text of the file in a format: "csv", "latex" or "json"."""
        return {"csv": self._csv, "latex": self._latex, "json": self._json}[kind]()

    def _csv(self) -> str:
        text = io.StringIO()
        lines = csv.writer(text, lineterminator="\n")
        if self.values:
            lines.writerow(self.values[0])
            lines.writerows(["" if one is None else one for one in row.values()] for row in self.values)
        else:
            lines.writerow(map(_plain, self.head))
            lines.writerows(map(_plain, row) for row in self.rows)
        return text.getvalue()

    def _json(self) -> str:
        head, cells = list(map(_plain, self.head)), [list(map(_plain, row)) for row in self.rows]
        rows: Any = cells  # lists if columns share a name, such as two called Δ
        if self.values:
            rows = self.values
        elif len(set(head)) == len(head):
            rows = [dict(zip(head, row, strict=True)) for row in cells]
        return json.dumps({"caption": self.caption, "head": head, "rows": rows}, indent=1) + "\n"

    def _latex(self) -> str:
        lines = [" & ".join(map(latex, row)) + r" \\" for row in (self.head, *self.rows)]
        return "\n".join(
            [
                r"\begin{table}",
                r"  \centering",
                f"  \\caption{{{latex(self.caption)}}}",
                f"  \\label{{tab:{self.name}}}",
                f"  \\begin{{tabular}}{{{'l' + 'r' * (len(self.head) - 1)}}}",
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


def latex(text: str) -> str:
    """Convert the text of a cell or a caption to LaTeX, with **bold** as \\textbf."""
    parts = [_escaped(part) for part in re.split(r"\*\*", text)]
    return "".join(f"\\textbf{{{part}}}" if i % 2 else part for i, part in enumerate(parts))


def _escaped(text: str) -> str:
    return "".join(SPECIAL.get(one) or SIGNS.get(one, one) for one in text.replace("`", ""))


def _plain(cell: str) -> str:
    return cell.replace("**", "").replace("`", "")


def of_page(name: str, text: str) -> list[Exported]:
    """Read the tables from a page's markdown and number them from 1.

    A caption consists of the headings above the table, the line before it if that ends in a colon, and the section's
    line on seeds and tie rule. That line belongs to every table of the section: numbers mean little without it.
    """
    found: list[Exported] = []
    for section in re.split(r"(?m)^(?=#{1,2} )", text):
        foot = " ".join(re.findall(r"(?m)^- (Seeds: .*)$", section))
        headings: list[str] = []
        before = ""
        for block in re.split(r"\n\s*\n", section.replace("\N{NO-BREAK SPACE}", " ")):
            lines = block.strip().splitlines()
            for line in lines:
                if heading := re.fullmatch(r"#+ (.*)", line):
                    headings = [heading[1]] if line.startswith(("# ", "## ")) else [*headings[:1], heading[1]]
            table = [line for line in lines if line.startswith("|")]
            if len(table) > 1:
                told = ". ".join([*headings, *([before.rstrip(":")] if before else [])])
                caption = " ".join(part for part in (f"{told}.", foot) if part)
                cells = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in table]
                found.append(Exported(f"{name}-{len(found) + 1}", caption, cells[0], cells[2:]))
                before = ""
            elif lines and not lines[-1].startswith(("#", "-", "!", "<")):
                before = lines[-1] if lines[-1].endswith(":") else ""
    return found
