"""What the litellm SDK gets from a worker; its last line is one JSON object.

Runs in an environment of its own.
"""

import json
import sys

import litellm

where = {"api_base": sys.argv[1], "api_key": sys.argv[2], "max_retries": 0}
messages = [{"role": "user", "content": "hi"}]

whole = litellm.completion(model="openai/default", messages=messages, **where)
stream = litellm.completion(model="openai/default", messages=messages, stream=True, **where)
texts = [chunk.choices[0].delta.content or "" for chunk in stream]
vectors = litellm.embedding(model="openai/default", input=["a", "b"], **where)
failure = None
try:
    litellm.completion(model="openai/nobody", messages=messages, **where)
except litellm.NotFoundError as error:
    failure = {"name": type(error).__name__, "status": error.status_code}
found = {
    "text": whole.choices[0].message.content,
    "streamed": "".join(texts),
    "vectors": [item["embedding"] for item in vectors.data],
    "failure": failure,
}
sys.stdout.write("\n" + json.dumps(found))  # litellm prints there too
