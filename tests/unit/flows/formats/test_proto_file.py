"""Which messages stand where in a Protobuf file, as its text and its descriptor say."""

import time
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.type_pb2 import Field
from hypothesis import given
from hypothesis import strategies as st

from streamapp.flows.formats.proto_file import ProtoFile
from streamapp.flows.formats.protobuf import protobuf_schema

#: What stands in a message beside other messages, and names none.
NOISE = [
    "string message = 1;",
    "optional string group = 2;",
    "// message No { it's none\n",
    '/* message No { " */',
    "enum Kind { option allow_alias = true; A = 0; }",
    'oneof one { string s = 3 [json_name = "message No {"]; }',
    "extend Other { optional string t = 4; }",
    "string u = 5 [(rule) = { message: { group: 'x}' } }];",
    "reserved 6 to 9; reserved 'message';",
    'extensions 100 to 199 [declaration = { number: 4, type: ".message" }];',
    "option (deep) = { message { a: 1 } group { b: [{ c: 2 }] } };",
]
#: A message is a list of what stands in it: messages, maps (True), or noise.
BODIES = st.recursive(
    st.lists(st.sampled_from(NOISE), max_size=3),
    lambda inner: st.lists(inner | st.sampled_from([True, *NOISE]), max_size=4),
    max_leaves=12,
)


def _text(body: list[Any], name: str = "M") -> str:
    found = []
    for at, part in enumerate(body):
        if isinstance(part, list):
            found.append(f"message {name}{at}{{{_text(part, f'{name}{at}_')}}}")
        else:
            found.append(f"map<string, Other> m{at} = {at + 10};" if part is True else part)
    return "\n".join(found)


def _described(body: list[Any], name: str = "M") -> Iterator[DescriptorProto]:
    for at, part in enumerate(body):
        if isinstance(part, list):
            nested = _described(part, f"{name}{at}_")
            yield DescriptorProto(name=f"{name}{at}", nested_type=nested)
        elif part is True:
            entry = DescriptorProto(name=f"M{at}Entry")
            entry.options.map_entry = True
            yield entry


def _paths(messages: Any, *above: int, skip: bool) -> Iterator[tuple[tuple[int, ...], list[str]]]:
    shown = [one for one in messages if not (skip and one.options.map_entry)]
    for at, message in enumerate(shown):
        yield (*above, at), [message.name]
        for path, names in _paths(message.nested_type, *above, at, skip=skip):
            yield path, [message.name, *names]


@given(body=BODIES, package=st.sampled_from(["", "shop", "shop.reviews.v1"]))
def test_text_and_descriptor_say_the_same(body: list[Any], package: str) -> None:
    """Each message is found at its place, by either way to count what maps make."""
    head = f"syntax = 'proto3';\npackage {package};\n" if package else "edition = '2023';"
    body = [part for part in body if part is not True]  # a map stands in a message
    file = FileDescriptorProto(package=package, message_type=_described(body))
    forms = [
        ProtoFile(f"{head}import 'other.proto';\n{_text(body)}"),
        ProtoFile(b64encode(file.SerializeToString()).decode()),
    ]

    for skip in (True, False):
        for path, names in _paths(file.message_type, skip=skip):
            name = ".".join(filter(None, (package, *names)))
            for form in forms:
                if not names[-1].endswith("Entry"):
                    assert name in form.names_at(path)
                    if not skip:
                        assert form.path_of(name) == path
    assert [form.names_at((len(list(_described(body))),)) for form in forms] == [set(), set()]


def test_a_group_is_a_message() -> None:
    """As in the second version of the language, within a oneof as well."""
    file = ProtoFile(
        "message A { oneof o { group B = 1 { optional group C = 2 [deprecated = true] {} } } }"
    )

    assert file.names_at((0, 0)) == {"A.B"}
    assert file.path_of("A.B.C") == (0, 0, 0)


def test_words_of_the_language_may_be_names() -> None:
    """An enum may have a value ``package``; what comes behind it is in the file's package."""
    file = ProtoFile(
        "package shop; message A { enum K { unknown = 0; package = 2; } K k = 1; } message B {}"
    )

    assert file.names_at((0,)) == {"shop.A"}
    assert file.path_of("shop.B") == (1,)


def test_what_a_descriptor_was_told_as_has_its_maps_marked() -> None:
    """As messages with an option: clients that count none of a map's pass these over."""
    file = ProtoFile("message A { message MEntry { option map_entry = true; } message B {} }")

    assert file.names_at((0, 0)) == {"A.MEntry", "A.B"}
    assert file.path_of("A.B") == (0, 1)
    assert file.path_of("A.B", usual=(0, 0)) == (0, 0)
    assert file.path_of("A.B", usual=(0,)) == (0, 1)


@pytest.mark.parametrize(
    "text",
    ["/*" * 200_000, '"\\"' * 200_000, "'a" * 200_001, "{" * 400_000, "message M {" * 50_000],
)
def test_what_is_no_file_is_looked_through_once(text: str) -> None:
    """A registry may keep what never ends; the event loop waits meanwhile."""
    before = time.process_time()

    file = ProtoFile(f"message A {{}} {text}")

    assert file.names_at((0,)) == {"A"}
    assert file.path_of("A.B") is None
    assert time.process_time() - before < 10  # minutes, where each begin looks for an end


def test_file_of_a_class_is_that_of_its_descriptor() -> None:
    """What is registered is found again."""
    file = ProtoFile(protobuf_schema(Field).text)

    assert file.path_of("google.protobuf.Field") == (1,)


@pytest.mark.parametrize("text", ["", "}", "...", "message", "message {", "{}", "CgA=", "map<;"])
def test_what_is_no_file_has_no_message(text: str) -> None:
    """A registry may keep anything."""
    assert ProtoFile(text).names_at((0,)) == set()
