"""The operations of the HTTP interface as data, from which its document is made.

A view without an entry here, or an entry without a view, fails a test.
"""

from collections.abc import Collection, Mapping, Sequence

from streamapp.web.operations import cache, dead_letters, openai, operating, prompts, records, tools
from streamapp.web.operations.operation import Access, Operation

#: By the heading under which they are listed.
OPERATIONS: Mapping[str, Sequence[Operation]] = {
    "Records": records.OPERATIONS,
    "OpenAI": openai.OPERATIONS,
    "Prompts": prompts.OPERATIONS,
    "Tools": tools.OPERATIONS,
    "Dead letters": dead_letters.OPERATIONS,
    "Operation": (*operating.OPERATIONS, *cache.OPERATIONS),
    "Documents": operating.DOCUMENTS,
}

#: What a key needs, by method and path.
ACCESS: Mapping[tuple[str, str], Access] = {
    (operation.method, operation.path): operation.access
    for operations in OPERATIONS.values()
    for operation in operations
}

#: The parameters that an operation takes, by method and path; those of OpenAI's take none of ours.
PARAMETERS: Mapping[tuple[str, str], Collection[str]] = {
    (operation.method, operation.path): operation.query
    for operations in OPERATIONS.values()
    for operation in operations
    if operation.query
}
