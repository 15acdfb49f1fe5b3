"""Recognise the columns of a table of clicks, by the names that the user gives or by common names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reproduce.errors import InputError, UsageError

# In lower case, with letters and digits only.
USUAL = {
    "session": ("sessionid", "session", "sessid", "usersession", "visitid"),
    "user": ("userid", "user", "visitorid", "customerid"),
    "item": ("itemid", "item", "productid", "product", "articleid", "clickarticleid", "trackid", "sku"),
    "time": ("timestamp", "time", "ts", "datetime", "date", "eventtime", "eventdate", "clicktimestamp", "unixtime"),
}


def recognised(header: Sequence[str], given: Mapping[str, str], gap: bool, where: str) -> dict[str, int]:
    """Find the places of the session, item and time columns; with a gap, the user column instead of the session's.

    Args:
        given: role -> column name, as far as the user names columns.
        gap: whether sessions are cut from a user's clicks after a pause.
        where: the file and the line, for messages.

    Raises:
        UsageError: a given column is absent or occurs twice, or the user gives a gap and a session column, or a user
            column without a gap.
        InputError: a role that is not given has no column with a usual name, or more than one.
    """
    if gap and "session" in given:
        raise UsageError("--gap cuts a log without sessions; take it or session=... of --columns away")
    if "user" in given and not gap:
        raise UsageError("--columns user=... needs --gap, such as --gap 30m: after so long a pause a session begins")
    owner = "user" if gap else "session"
    return {role: _place(role, header, given, where) for role in (owner, "item", "time")}


def _place(role: str, header: Sequence[str], given: Mapping[str, str], where: str) -> int:
    names = [name.strip() for name in header]
    there = ", ".join(map(repr, names))
    if role in given:
        if names.count(given[role]) != 1:
            found = "no column" if given[role] not in names else "more than one column"
            raise UsageError(f"--columns {role}={given[role]}: {where}: {found} of that name; there is: {there}")
        return names.index(given[role])
    places = [i for i, name in enumerate(names) if re.sub(r"[^a-z0-9]", "", name.lower()) in USUAL[role]]
    if len(places) == 1:
        return places[0]
    if places:
        found = "more than one column may be the " + f"{role}: {', '.join(repr(names[i]) for i in places)}"
    else:
        found = f"no column is known as the {role}; there is: {there}"
    remedy = f"name it with --columns {role}=NAME"
    if role == "session":
        remedy += ", or cut sessions with --columns user=NAME --gap 30m"
    raise InputError(f"{where}: {found}; {remedy}")
