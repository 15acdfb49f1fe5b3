"""What is known of a table of clicks before it is read, and which columns are the session, the item and the time."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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

    @property
    def numbers_missing(self) -> bool:
        """Whether a number, which would be a good id or time, stands for a missing value."""
        return any(re.match("-?[0-9]", word) for word in self.missing)


Places = dict[str, tuple[int, ...]]  # role, or "where NAME" -> the places of its columns, from 0


def counted(columns: Mapping[str, str]) -> bool:
    """Whether columns are given by their numbers, which says that there is no header."""
    return bool(columns) and all(re.fullmatch(r"[0-9]+(\+[0-9]+)*", name) for name in columns.values())


def recognised(header: Sequence[str] | int, form: Form, where: str) -> Places:
    """Find the columns of each role.

    Args:
        header: the names of the columns; or how many there are, if they have none.
        where: the file and line, for messages.

    Raises:
        UsageError: a column that the user names is absent or occurs twice, or the roles do not fit together.
        InputError: a role has no column with a usual name, or more than one; the message lists all such roles.
    """
    if (len(header) if not isinstance(header, int) else header) > MOST_COLUMNS:
        raise InputError(f"{where}: over {MOST_COLUMNS:,} columns; expected a table with a click in each row")
    given = form.columns
    if isinstance(header, int) and form.bare:
        given = form.bare
        if header < max(map(int, given.values())):
            raise InputError(f"{where}: too few columns, or another separator; expected the log as it was published")
    if form.gap and "session" in given:
        raise UsageError("--gap cuts a log without sessions; take it or session=... of --columns away")
    if "user" in given and not form.gap and "session" not in given:
        raise UsageError("--columns user=... needs --gap, such as --gap 30m: after so long a pause a session begins")
    required = ["user" if form.gap else "session", "item", "time", *(() if form.usual is USUAL else ("order",))]
    required = [role for role in required if role in given or role in form.usual]
    places: Places = dict.fromkeys(required, ())
    for role, name in given.items():
        places[role] = _named(f"--columns {role}={name}", name, header, where)
    for name in form.where:
        places[f"where {name}"] = _named(f"--where {name}=...", name, header, where, joined="\0")
    faults = {role: _usual(role, header, form, places) for role in required if not places[role]}
    if any(faults.values()):
        raise InputError(f"{where}{_remedy(header, {role: fault for role, fault in faults.items() if fault}, form)}")
    for role in ("user", "event") if form.usual is USUAL else ():
        names = [i for i, name in enumerate([] if isinstance(header, int) else header) if _plain(name) in USUAL[role]]
        if role not in places and len(names) == 1 and tuple(names) not in places.values():
            places[role] = (names[0],)  # to check that no session is of several users, and to name the events
    return places


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _named(option: str, name: str, header: Sequence[str] | int, where: str, joined: str = "+") -> tuple[int, ...]:
    """Find the columns that the user names: one, or several joined by `joined`."""
    if isinstance(header, int):
        places = [int(number) - 1 if re.fullmatch("[0-9]{1,6}", number) else -1 for number in name.split(joined)]
        if not all(0 <= place < header for place in places):
            raise UsageError(f"{option}: {where}: expected a number from 1 to {header}, or several joined by +")
        return tuple(places)
    names = [name] if name in header else name.split(joined)
    for part in names:
        if header.count(part) != 1:
            fault = "no column" if part not in header else "more than one column"
            raise UsageError(f"{option}: {where}: {fault} of that name; there is: {_listed(header)}")
    return tuple(header.index(part) for part in names)


def _usual(role: str, header: Sequence[str] | int, form: Form, places: Places) -> str:
    """Find the column of a role by its usual names and add it to the places; else return what is wrong."""
    names = [] if isinstance(header, int) else [i for i, name in enumerate(header) if _plain(name) in form.usual[role]]
    if len(names) == 1:
        places[role] = (names[0],)
        return ""
    if names and not isinstance(header, int):
        return f"more than one column may be the {role}: {_listed([header[i] for i in names])}"
    return "none"


def _remedy(header: Sequence[str] | int, faults: Mapping[str, str], form: Form) -> str:
    """Say what is wrong with all roles that have no column, and what to do."""
    if isinstance(header, int):
        return f": no header, so number all columns: --columns {' '.join(f'{role}=NUMBER' for role in faults)}"
    if form.usual is USUAL and any(re.fullmatch(r"[0-9][0-9.:TZ/ +-]*", name) for name in header):
        return " looks like a click, not like names; number its columns: --columns session=1 item=2 time=3"
    unknown = [role for role, fault in faults.items() if fault == "none"]
    several = [fault for fault in faults.values() if fault != "none"]
    if unknown:
        several.insert(0, f"no column is known as the {' or the '.join(unknown)}; there is: {_listed(header)}")
    if form.usual is not USUAL:
        return f": {'; '.join(several)}; expected the log as it was published"
    remedy = f"name it with --columns {' '.join(f'{role}=NAME' for role in faults)}"
    if "session" in faults:
        remedy += ", or cut sessions with --columns user=NAME --gap 30m"
    return f": {'; '.join(several)}; {remedy}"


def _listed(names: Sequence[str]) -> str:
    return in_a_line(", ".join(map(repr, names)), 300)
