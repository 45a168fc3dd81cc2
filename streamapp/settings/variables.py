"""Names of environment variables in the settings, and what stands there where a name belongs."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOLLAR = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*|\$\{[A-Za-z_][A-Za-z0-9_]*\}")
#: How vendors begin their keys, those that are made of letters, digits and ``_`` alone.
_VENDOR = re.compile(r"(sk|pk|rk|hf|gsk|csk|fw|r8|key|tgp|gh[pousr]|github_pat|glpat)_\w{8}")
#: Longest part of a name, between underscores, that may hold a digit or small and large letters.
_PART = 15


def is_name(text: str) -> bool:
    """Whether ``text`` reads as the name of a variable, and not as a key that was put there."""
    if not _NAME.fullmatch(text) or _VENDOR.match(text):
        return False
    return not any(len(part) > _PART and _is_mixed(part) for part in text.split("_"))


def named_for(what: str, ending: str = "") -> str:
    """Return a name of a variable that may hold a secret of ``what``, as ``SHOP_API_KEY``."""
    name = re.sub(r"\W", "_", what + ending).upper()
    return f"_{name}" if name[:1].isdigit() else name


def unset(
    variable: str,
    environment: Mapping[str, str | None],
    *,
    example: str,
    may_lack: bool = False,
) -> str | None:
    """Return what is wrong with a variable that the settings name; None where it has a value.

    What is no name may be the secret itself, so it is never quoted, and refused in any case.

    Args:
        variable: What the operator wrote.
        environment: Holds the values.
        example: A name that would do.
        may_lack: Whether the environment need not hold it.
    """
    if environment.get(variable):
        return None
    if is_name(variable):
        return None if may_lack else f"the environment variable {variable} is not set"
    if _DOLLAR.fullmatch(variable):
        return "write the NAME of the environment variable alone, without $ and brackets"
    return (
        "what stands there looks like a key, not like the name of an environment variable: put the"
        f" key into a variable, as export {example}=..., and write the NAME of that variable"
        " here; a key that others have seen in the file is to be replaced"
    )


def unset_in(
    data: Mapping[str, Any], environment: Mapping[str, str | None], *, may_lack: bool = False
) -> Iterator[str]:
    """Yield what `unset` says of a file that is wrong in other things, so that all is told.

    Args:
        data: What stands in the file, of whatever types.
        environment: Holds the values.
        may_lack: Whether the environment need not hold them.
    """
    fields = (
        ("providers", "api_key_env", "_API_KEY"),
        ("providers", "headers_env", ""),
        ("keys", "key_env", "_KEY"),
        ("mcp", "env", "_TOKEN"),
        ("mcp", "headers_env", ""),
    )
    for section, field, ending in fields:
        tables = data.get(section)
        for name, table in tables.items() if isinstance(tables, Mapping) else ():
            named = table.get(field) if isinstance(table, Mapping) else None
            path, example = f"{section}.{name}.{field}", named_for(name, ending)
            if isinstance(named, Mapping):
                yield from unset_headers(path, named, environment, may_lack=may_lack)
                continue
            for variable in named if isinstance(named, list) else [named]:
                if isinstance(variable, str) and (
                    wrong := unset(variable, environment, example=example, may_lack=may_lack)
                ):
                    yield f"{path}: {wrong}"


def unset_headers(
    path: str,
    headers: Mapping[str, Any],
    environment: Mapping[str, str | None],
    *,
    may_lack: bool = False,
) -> Iterator[str]:
    """Yield what `unset` says of each header's variable, with the header in its place.

    Args:
        path: Of the table, such as ``providers.NAME.headers_env``.
        headers: The names of variables, by those of headers.
        environment: Holds the values.
        may_lack: Whether the environment need not hold them.
    """
    for header, variable in headers.items():
        if isinstance(variable, str) and (
            wrong := unset(variable, environment, example=named_for(header), may_lack=may_lack)
        ):
            yield f"{path}.{header}: {wrong}"


def _is_mixed(part: str) -> bool:
    has_digit = any(char.isdigit() for char in part)
    return has_digit or (part != part.upper() and part != part.lower())
