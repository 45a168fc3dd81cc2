"""Rights on Apache Kafka: the requests that aiokafka does not have, `CreateAcls`, `DeleteAcls`."""

from aiokafka.conn import create_conn
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Int8, Int16, Int32, Schema, String

ANY_HOST, DENY, ALLOW = "*", 2, 3

#: Codes of the Kafka protocol: resource types, pattern types and operations of ACLs.
TOPIC, GROUP = 2, 3
LITERAL, PREFIXED = 3, 4
READ, WRITE, CREATE, DESCRIBE = 3, 4, 5, 8

#: Type, name, pattern type and operation.
Right = tuple[int, str, int, int]


#: Type, name, pattern type, principal, host, operation and permission.
ACL = (
    ("resource_type", Int8),
    ("resource_name", String("utf-8")),
    ("resource_pattern_type", Int8),
    ("principal", String("utf-8")),
    ("host", String("utf-8")),
    ("operation", Int8),
    ("permission_type", Int8),
)
REFUSAL = (("error_code", Int16), ("error_message", String("utf-8")))


class CreateAclsResponse_v1(Response):  # noqa: N801 - aiokafka's way of naming
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(("error_code", Int16), ("error_message", String("utf-8")))),
    )


class CreateAclsRequest_v1(RequestStruct):  # noqa: N801
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = CreateAclsResponse_v1
    SCHEMA = Schema(
        (
            "creations",
            Array(*ACL),
        )
    )


class DeleteAclsResponse_v1(Response):  # noqa: N801
    API_KEY = 31
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(*REFUSAL, ("matching_acls", Array(*REFUSAL, *ACL)))),
    )


class DeleteAclsRequest_v1(RequestStruct):  # noqa: N801
    API_KEY = 31
    API_VERSION = 1
    RESPONSE_TYPE = DeleteAclsResponse_v1
    SCHEMA = Schema(("filters", Array(*ACL)))


class CreateAcls(Request[CreateAclsRequest_v1]):
    API_KEY = 30

    def __init__(self, user: str, rights: list[Right], permission: int) -> None:
        self._acls = acls(user, rights, permission)

    def build(self, request_struct_class: type[CreateAclsRequest_v1]) -> CreateAclsRequest_v1:
        return request_struct_class(self._acls)


class DeleteAcls(Request[DeleteAclsRequest_v1]):
    API_KEY = 31

    def __init__(self, user: str, rights: list[Right], permission: int) -> None:
        self._acls = acls(user, rights, permission)

    def build(self, request_struct_class: type[DeleteAclsRequest_v1]) -> DeleteAclsRequest_v1:
        return request_struct_class(self._acls)


def acls(user: str, rights: list[Right], permission: int) -> list[tuple[object, ...]]:
    return [
        (type_, name, pattern, f"User:{user}", ANY_HOST, operation, permission)
        for type_, name, pattern, operation in rights
    ]


async def grant(port: int, user: str, rights: list[Right]) -> None:
    """Let a user do something; the port is one where we may everything."""
    await _change(port, CreateAcls(user, rights, ALLOW))


async def deny(port: int, user: str, rights: list[Right]) -> None:
    """Forbid a user what was granted."""
    await _change(port, CreateAcls(user, rights, DENY))


async def deny_no_more(port: int, user: str, rights: list[Right]) -> None:
    """Take that back."""
    await _change(port, DeleteAcls(user, rights, DENY))


async def _change(port: int, request: CreateAcls | DeleteAcls) -> None:
    connection = await create_conn("127.0.0.1", port)
    try:
        answer = await connection.send(request)
    finally:
        connection.close()
    assert not any(code for code, *_ in answer.results), answer
