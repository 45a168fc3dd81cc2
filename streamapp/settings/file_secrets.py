"""Secrets that stand in the configuration file, and what belongs there in their place."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from streamapp.settings.checks import BROKER_USER
from streamapp.settings.places import FilePlaces
from streamapp.settings.problems import inner_types
from streamapp.settings.tables import PREFIX

#: Headers in which each kind of provider sends `api_key`; those of litellm's vendors differ.
KEY_HEADERS: Mapping[str, tuple[str, ...]] = {
    "anthropic": ("authorization",),
    "azure-openai": ("api-key",),
    "litellm": ("authorization", "x-api-key", "api-key"),
    "openai": ("authorization",),
}
_NAMES = r"(?:api[-_]?key|access[-_]?key|token|secret|password|passwd|credentials?)"
#: What is no secret, though it stands where one may: a switch, a small number, a file's name.
_PLAIN = (
    r"(?:true|false|\d{1,6}|[\w-]+\.(?:json|ya?ml|toml|txt|pem|key|ini|cfg|conf|env))(?![^\s&'\"])"
)
#: ``--token=...``, ``SHOP_API_KEY=...``, ``?token=...``: not ``$TOKEN``, not a file's path.
_NAMED = re.compile(
    rf"(?:^|[\s?&-]|[a-z0-9]_){_NAMES}(?:=|\s+(?!-))['\"]?(?![$/.{{'\"\s]|{_PLAIN})[^\s&'\"]",
    re.IGNORECASE,
)
#: Fields that there are not, in tables that name the variable of a key.
_NO_FIELD = re.compile(rf"key|{_NAMES}", re.IGNORECASE)
_NAME = re.compile(rf"--?(?:[a-z0-9]+[-_])*{_NAMES}", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^/\s:@$]*:[^/\s@$]+@")
#: Keys as vendors make them, and passwords in addresses.
_KNOWN = re.compile(
    r"\b(?:sk-[\w-]{8}|gh[pousr]_\w{8}|github_pat_\w{8}|glpat-[\w-]{8}|xox[a-z]-[\w-]{8}"
    rf"|AKIA[0-9A-Z]{{12}}|AIza[\w-]{{8}}|Bearer [^\s$'\"]{{8}})|{_PASSWORD.pattern}",
    re.IGNORECASE,
)


def secrets_in(file: FilePlaces, fields: Mapping[str, FieldInfo]) -> list[str]:
    """Return a line for each secret that the file holds, with what belongs there instead.

    Args:
        file: What the operator wrote.
        fields: Of the settings.
    """
    return [
        f"{file.place(path)}: a secret does not belong into the file, which may be shared:"
        f" {_instead(path, file.data)}"
        for path in dict.fromkeys(  # the address of an MCP server is found twice
            (
                *_secrets(file.data, fields, ()),
                *_of_providers(file.data.get("providers")),
                *_of_mcp(file.data.get("mcp")),
            )
        )
    ]


def _secrets(
    table: Mapping[str, Any], fields: Mapping[str, FieldInfo], at: tuple[str, ...]
) -> Iterator[tuple[str, ...]]:
    for name, value in table.items():
        field = fields.get(name)
        if field is None:
            if at[:1] in (("providers",), ("keys",)) and _NO_FIELD.fullmatch(name):
                yield (*at, name)
            continue
        kinds = (field.annotation, *inner_types(field.annotation))
        models = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if SecretStr in kinds:
            # The address of a cache is a secret where it holds a password.
            if not str(value).partition("://")[1] or "@" in str(value):
                yield (*at, name)
        elif isinstance(value, str) and _PASSWORD.search(value):
            yield (*at, name)
        elif models and isinstance(value, Mapping):
            for key, inner in value.items():
                if isinstance(inner, Mapping):
                    yield from _secrets(inner, models[0].model_fields, (*at, name, key))


def _of_providers(providers: Any) -> Iterator[tuple[str, ...]]:
    """Give the headers of providers that hold what looks like a secret, by name or by value."""
    for name, provider in providers.items() if isinstance(providers, Mapping) else ():
        headers = provider.get("extra_headers") if isinstance(provider, Mapping) else None
        for header, value in headers.items() if isinstance(headers, Mapping) else ():
            if _is_secret([f"{header}={value}"]):
                yield ("providers", name, "extra_headers", header)


def _of_mcp(servers: Any) -> Iterator[tuple[str, ...]]:
    """Give the commands and addresses of MCP servers that hold what looks like a secret."""
    for name, server in servers.items() if isinstance(servers, Mapping) else ():
        if not isinstance(server, Mapping):
            continue
        command, url = server.get("command"), server.get("url")
        if isinstance(command, list) and _is_secret(list(map(str, command))):
            yield ("mcp", name, "command")
        if isinstance(url, str) and _is_secret([url]):
            yield ("mcp", name, "url")


def _is_secret(arguments: Sequence[str]) -> bool:
    return any(_NAMED.search(one) or _KNOWN.search(one) for one in arguments) or any(
        _NAME.fullmatch(option) and re.match(rf"(?!{_PLAIN})[^-$/.]", value, re.IGNORECASE)
        for option, value in pairwise(arguments)
    )


def _instead(path: Sequence[str], data: Mapping[str, Any]) -> str:
    section, *names = path
    if section == "broker":
        return f"write kafka://HOST:PORT, and {BROKER_USER}"
    variable = re.sub(r"\W", "_", names[0]).upper() if names else ""
    if section == "providers":
        header, kind = names[-1], str(data[section][names[0]].get("kind"))
        field = f'api_key_env = "{variable}_API_KEY"'
        if len(names) > 2 and header.lower() not in KEY_HEADERS.get(kind, ()):
            held = re.sub(r"\W", "_", header).upper()
            field = f'headers_env = {{ "{header}" = "{held}" }}'
        return f"put it into a variable and name that one: {field}"
    if section == "keys":
        return "name the variable that holds it, key_env, or write its digest, key_sha256"
    if section == "mcp" and names[-1] == "url":
        return (
            "put it into a variable and send it in a header:"
            f' headers_env = {{ authorization = "{variable}_TOKEN" }}'
        )
    if section == "mcp":
        return (
            f'put it into a variable that the program gets and reads: env = ["{variable}_TOKEN"];'
            f' where it takes an argument alone: command = ["sh", "-c", "exec PROGRAM'
            f' --token=${variable}_TOKEN"]'
        )
    return f"set the variable {PREFIX}{'__'.join(path).upper()}"
