"""The tables ``[mcp.NAME]`` of the file: servers whose tools models may call."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from streamapp.settings.tables import URL
from streamapp.settings.variables import named_for, unset, unset_headers

MCP_NAME = r"^[A-Za-z][A-Za-z0-9-]{0,30}$"
McpName = Annotated[str, Field(pattern=MCP_NAME)]


class McpSettings(BaseModel):
    """One ``[mcp.NAME]`` of the file; its tools are named ``NAME.tool``."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    url: str | None = Field(default=None, pattern=URL)
    """Address of a server that speaks streamable HTTP."""
    command: list[str] = Field(default_factory=list)
    """Or program and arguments of one that speaks over its standard streams; once per worker."""
    allow: list[str] = Field(default_factory=list)
    """Its tools that are offered, `get_*` for all that begin so; none without it."""
    timeout_s: float = Field(default=30, gt=0)
    """Longest time of a connection, of one call, and of records' wait as a worker starts."""
    headers_env: dict[str, str] = Field(default_factory=dict)
    """HTTP headers by the names of the environment variables that hold them."""
    env: list[str] = Field(default_factory=list)
    """Names of environment variables that the program gets."""
    values: dict[str, SecretStr] = Field(default_factory=dict, exclude=True)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.url is None) == (not self.command):
            raise ValueError("set url or command, and one of them alone")
        if self.headers_env and self.url is None:
            raise ValueError("headers_env belongs to a url; a program gets variables by env")
        if self.env and self.url is not None:
            raise ValueError("env belongs to a command; a url gets headers by headers_env")
        return self


def with_environment(
    servers: Mapping[str, McpSettings],
    environment: Mapping[str, str | None],
    *,
    may_lack: bool = False,
) -> tuple[dict[str, McpSettings], list[str]]:
    """Return the servers with what the environment holds for them, and what is missing there.

    Nothing is where it ``may_lack`` all of it: nobody will ask a server.
    """
    found = {}
    problems: list[str] = []
    for name, server in servers.items():
        wanted = {**server.headers_env, **{variable: variable for variable in server.env}}
        path, example = f"mcp.{name}", named_for(name, "_TOKEN")
        problems += unset_headers(
            f"{path}.headers_env", server.headers_env, environment, may_lack=may_lack
        )
        problems += [
            f"{path}.env: {wrong}"
            for variable in server.env
            if (wrong := unset(variable, environment, example=example, may_lack=may_lack))
        ]
        values = {
            key: SecretStr(environment.get(variable) or "") for key, variable in wanted.items()
        }
        found[name] = server.model_copy(update={"values": values})
    return found, problems
