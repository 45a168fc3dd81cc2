"""Protobuf classes as `protoc` makes them: two in the same place of two files, and a nested one."""

from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass


def _message(name: str, *fields: str) -> DescriptorProto:
    kind, label = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.LABEL_OPTIONAL
    return DescriptorProto(
        name=name,
        field=[
            FieldDescriptorProto(name=field, number=number, type=kind, label=label)
            for number, field in enumerate(fields, 1)
        ],
    )


def _class(package: str, message: DescriptorProto) -> Any:
    file = FileDescriptorProto(
        name=f"{package}.proto",
        package=package,
        syntax="proto3",
        message_type=[_message("First"), message],
    )
    Default().AddSerializedFile(file.SerializeToString())
    return GetMessageClass(Default().FindMessageTypeByName(f"{package}.{message.name}"))


def _nested(package: str, above: str, message: DescriptorProto) -> Any:
    file = FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.message_type.add(name=above).nested_type.append(message)
    Default().AddSerializedFile(file.SerializeToString())
    return GetMessageClass(Default().FindMessageTypeByName(f"{package}.{above}.{message.name}"))


Review = _class("shop_reviews", _message("Review", "id", "reply"))
Order = _class("shop_orders", _message("Order", "number", "note"))
Inner = _nested("nested", "Struct", _message("Inner", "id"))
