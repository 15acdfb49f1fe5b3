"""Which column of a table of clicks is which: by the names a user gives, else by the usual ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from reproduce.errors import InputError, UsageError

# Without signs and in small letters.
USUAL = {
    "session": ("sessionid", "session", "sessid", "usersession", "visitid"),
    "user": ("userid", "user", "visitorid", "customerid"),
    "item": ("itemid", "item", "productid", "product", "articleid", "clickarticleid", "trackid", "sku"),
    "time": ("timestamp", "time", "ts", "datetime", "date", "eventtime", "eventdate", "clicktimestamp", "unixtime"),
}


def recognised(header: Sequence[str], given: Mapping[str, str], gap: bool, where: str) -> dict[str, int]:
    """The places of item, time and of session or, with a gap to cut sessions by, of user.

    Args:
        given: role -> name of its column, where the user says so.
        where: the file and the line, for messages.

    Raises:
        UsageError: a given column is not there, or a gap is asked for and the log has sessions.
        InputError: a column is not told by its name, or by more than one.
    """
    owner = "user" if gap or ("user" in given and "session" not in given) else "session"
    if gap and "session" in given:
        raise UsageError("--gap cuts a log without sessions; take it or session=... of --columns away")
    if owner == "user" and not gap:
        raise UsageError("--columns user=... needs --gap, such as --gap 30m: after so long a pause a session begins")
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
