"""The table ``[keys.NAME]`` of ``streamapp.toml``: who may do what over HTTP."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from streamapp.settings.variables import named_for, unset

Scope = Literal["infer", "read", "prompts", "replay", "metrics"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

#: Shortest key that is taken from the environment, characters.
SHORTEST = 8


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _is_digest(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError(
            "it is no SHA-256 in 64 small hexadecimal digits: write what"
            " `streamapp keys hash` prints of a key (--new makes one)"
        )
    return value


TENANT = r"^[A-Za-z0-9._-]{1,64}$"

Digest = Annotated[str, AfterValidator(_is_digest)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class KeySettings(BaseModel):
    """One ``[keys.NAME]`` of the file: a caller over HTTP, and what it may do.

    The keys themselves never belong into the file: either their digests do, or the names of
    variables that hold them.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    key_env: Annotated[list[Name], BeforeValidator(_as_list)] = Field(default_factory=list)
    """Name of the environment variable that holds the key, or several: each opens (rotation)."""
    key_sha256: Annotated[list[Digest], BeforeValidator(_as_list)] = Field(default_factory=list)
    """Digest of the key, as `streamapp keys hash` prints it, or several."""
    key_values: list[SecretStr] = Field(default_factory=list, exclude=True)
    scopes: Annotated[list[Scope], Field(min_length=1)]
    """`infer`: ask, and read what became of it; `read`: prompts, dead letters, the group;
    `prompts`: change them; `replay`: send dead letters again; `metrics`: `/metrics` alone.
    """
    tenant: str | None = Field(default=None, pattern=TENANT)
    """Whose records it sends and sees; a caller cannot name another."""
    requests_per_minute: float | None = Field(default=None, gt=0)
    """Limit of this key at one worker; none without it."""
    models: list[Name] | None = Field(default=None, min_length=1)
    """Routes that it may name; all without it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.key_env and not self.key_sha256:
            raise ValueError("set key_env or key_sha256")
        return self

    @property
    def digests(self) -> tuple[bytes, ...]:
        """SHA-256 of each key that opens."""
        held = (value.get_secret_value() for value in self.key_values)
        return (*map(bytes.fromhex, self.key_sha256), *map(digest_of, held))


def digest_of(key: str) -> bytes:
    """Return the digest by which a key is known."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).digest()


def with_values(
    keys: Mapping[str, KeySettings],
    environment: Mapping[str, str | None],
    *,
    models: Mapping[str, Any],
    api_keys: tuple[str, ...] = (),
    may_lack: bool = False,
) -> tuple[dict[str, KeySettings], list[str]]:
    """Return the keys with what the environment holds of them, and what is wrong.

    Args:
        keys: As the operator wrote them.
        environment: Holds the values.
        models: The configured routes.
        api_keys: Keys without a name.
        may_lack: Whether the environment need not hold them: nobody will serve HTTP.
    """
    found, problems = {}, []
    owners = {digest_of(key): "API_KEYS" for key in api_keys}
    for name, key in keys.items():
        values = []
        for variable in key.key_env:
            value = (environment.get(variable) or "").strip()
            if len(value) >= SHORTEST:
                values.append(SecretStr(value))
            elif value:
                short = f"the variable {variable} is shorter than {SHORTEST} characters"
                problems.append(f"keys.{name}.key_env: {short}")
            elif wrong := unset(
                variable, environment, example=named_for(name, "_KEY"), may_lack=may_lack
            ):
                problems.append(f"keys.{name}.key_env: {wrong}")
        if unknown := sorted(set(key.models or ()) - models.keys()):
            problems.append(
                f"keys.{name}.models: there is no model {', '.join(map(repr, unknown))}"
            )
        found[name] = key.model_copy(update={"key_values": values})
        for digest in found[name].digests:
            owner = owners.setdefault(digest, f"keys.{name}")
            if owner != f"keys.{name}":
                problems.append(f"keys.{name}: {owner} has the same key; give each its own")
    return found, problems
