"""`list`: the models with their fields, and the data sets, from the text of their files: no model is imported."""

from __future__ import annotations

from typing import Any

from reproduce import names
from reproduce.reports.description import About, Command

ABOUT = About("lists the models with their fields, and the data sets")


def report() -> str:
    """List every model with its fields, their defaults and choices, and every data set."""
    parts = []
    for one in names.models().values():
        fields = "\n".join(f"    {line(field)}" for field in one.fields)
        parts.append(f"{one.name}  ({one.label})\n{fields}".rstrip())
    data = "\n".join(f"    {one.name:<22} {one.title}" for one in names.datasets().values())
    return "models, with their fields for --set MODEL.FIELD=VALUE\n\n" + "\n\n".join(parts) + f"\n\ndata sets\n\n{data}"


def line(field: names.Field) -> str:
    """Describe a field: its default, its choices, and in brackets its default's origin and what a search tries."""
    search = ""
    if isinstance(field.search, tuple):
        search = f"search {field.search[0]} to {field.search[1]}"
    elif field.search:
        search = "search " + ", ".join(map(str, field.search))
    remark = "; ".join(part for part in (field.note, search) if part)
    choices = " | ".join(map(str, field.choices))
    return f"{field.name} = {field.default}" + (f"   {choices}" * bool(choices)) + (f"   ({remark})" * bool(remark))


def _answer(options: Any) -> str:
    return report()


COMMAND = Command(ABOUT, _answer)
