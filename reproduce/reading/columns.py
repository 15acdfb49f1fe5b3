"""What is known of a table of clicks before it is read, and which columns are the session, the item and the time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reproduce.errors import InputError, UsageError, in_a_line

# Usual names, in lower case, with letters and digits only.
USUAL: Mapping[str, Sequence[str]] = {
    "session": ("sessionid", "session", "sessid", "usersession", "visitid"),
    "user": ("userid", "user", "visitorid", "customerid"),
    "item": (
        "itemid", "item", "productid", "product", "articleid", "clickarticleid", "trackid", "sku", "aid", "movieid",
        "songid", "reference",
    ),
    "time": ("timestamp", "time", "ts", "datetime", "date", "eventtime", "eventdate", "clicktimestamp", "unixtime"),
    "order": (),
    "event": ("event", "eventtype", "eventname", "type", "action", "actiontype", "behavior", "behaviortype"),
}  # fmt: skip
ROLES = ("session", "user", "item", "time", "order")  # those that --columns names
# What programs write for a missing value; taken as an id, it would merge all such rows into one session or item.
MISSING = frozenset({"", "NA", "nan", "NaN", "NaT", "null", "NULL", "None", "<NA>", r"\N", "N/A"})
MOST_COLUMNS = 10_000


@dataclass(frozen=True)
class Form:
    """What is known of a table before it is read; what is not said here is recognised."""

    columns: Mapping[str, str] = field(default_factory=dict)  # role -> name, number from 1, or several joined by +
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)  # column -> values of the rows to read
    gap: bool = False  # users instead of sessions
    unit: str | None = None  # of numeric times; "iso": dates, no numbers
    time_format: str | None = None  # of other times, as in strptime
    missing: frozenset[str] = MISSING
    # What follows describes a published log; a user's own has none of it.
    usual: Mapping[str, Sequence[str]] = field(default_factory=lambda: USUAL)  # role -> names
    bare: Mapping[str, str] = field(default_factory=dict)  # `columns` of a file whose first line begins with a digit
    separator: str | None = None
    whole: bool = False  # ids are whole numbers
    member: str = "*"  # the file to read from a .zip that holds several


Places = dict[str, tuple[int, ...]]  # role, or "where NAME" -> the places of its columns, from 0


def counted(columns: Mapping[str, str]) -> bool:
    """Whether columns are given by their numbers, which says that there is no header."""
    return bool(columns) and all(re.fullmatch(r"[0-9]+(\+[0-9]+)*", name) for name in columns.values())


def recognised(header: Sequence[str], form: Form, top: str) -> Places:
    """Find the columns of each role.

    Args:
        header: the names of the columns; "1", "2", ... if they have none.
        top: the file and line, for messages.

    Raises:
        UsageError: a column that the user names is absent or occurs twice, or the roles do not fit together.
        InputError: a role has no column with a usual name, or more than one; the message lists all such roles.
    """
    if len(header) > MOST_COLUMNS:
        raise InputError(f"{top}: over {MOST_COLUMNS:,} columns; expected a table with a click in each row")
    headless, published = header[:1] == ["1"], form.usual is not USUAL
    given = form.bare if form.bare and headless else form.columns
    if given is form.bare and not set(given.values()) <= set(header):
        raise InputError(f"{top}: too few columns, or another separator; expected the log as it was published")
    if form.gap and "session" in given:
        raise UsageError("--gap cuts a log without sessions; take it or session=... of --columns away")
    if "user" in given and not form.gap and "session" not in given:
        raise UsageError("--columns user=... needs --gap, such as --gap 30m: after so long a pause a session begins")
    roles = ["user" if form.gap else "session", "item", "time", *(["order"] if published else [])]
    places: Places = {role: () for role in roles if role in given or role in form.usual}
    for role, name in given.items():
        parts = [name] if name in header else name.split("+")
        places[role] = tuple(_named(f"--columns {role}={name}", part, header, top) for part in parts)
    usual = {
        role: [i for i, name in enumerate(header) if re.sub("[^a-z0-9]", "", name.lower()) in form.usual.get(role, ())]
        for role in (*places, "user", "event")
        if not places.get(role)
    }
    places |= {f"where {name}": (_named(f"--where {name}=...", name, header, top),) for name in form.where}
    faults = {role: usual[role] for role in places if role in usual and len(usual[role]) != 1}
    if faults:
        raise InputError(f"{top}{_remedy(header, faults, headless, published)}")
    places |= {role: (usual[role][0],) for role in places if role in usual}
    # The user, to check that no session is of several, and the type of the event, to name it.
    rest = {role: (usual[role][0],) for role in ("user", "event") if len(usual.get(role, ())) == 1}
    places |= {role: place for role, place in rest.items() if place not in places.values()}
    return places


def _named(option: str, name: str, header: Sequence[str], top: str) -> int:
    """Return the place of a column that the user names."""
    if header.count(name) != 1:
        fault = "more than one column" if name in header else "no column"
        raise UsageError(f"{option}: {top}: {fault} of that name; there is: {_listed(header)}")
    return header.index(name)


def _remedy(header: Sequence[str], faults: Mapping[str, list[int]], headless: bool, published: bool) -> str:
    """Say which roles have no column, or several that may be it, and what to do."""
    if headless:
        return f": no header, so number all columns: --columns {' '.join(f'{role}=NUMBER' for role in faults)}"
    if not published and any(re.fullmatch(r"[0-9][0-9.:TZ/ +-]*", name) for name in header):
        return " looks like a click, not like names; number its columns: --columns session=1 item=2 time=3"
    unknown = " or the ".join(role for role, places in faults.items() if not places)
    says = [f"no column is known as the {unknown}; there is: {_listed(header)}"] * bool(unknown)
    says += [
        f"more than one column may be the {role}: {_listed(header[i] for i in places)}"
        for role, places in faults.items()
        if places
    ]
    remedy = f"name it with --columns {' '.join(f'{role}=NAME' for role in faults)}"
    if "session" in faults:
        remedy += ", or cut sessions with --columns user=NAME --gap 30m"
    return f": {'; '.join(says)}; {'expected the log as it was published' if published else remedy}"


def _listed(names: Iterable[str]) -> str:
    return in_a_line(", ".join(map(repr, names)), 300)
