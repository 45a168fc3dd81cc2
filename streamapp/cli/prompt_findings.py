"""The findings of `streamapp check` about published prompts: labels, and few-shot examples."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from streamapp.cli.finding import Finding
from streamapp.cli.kafka import answered
from streamapp.cli.terminal import own_command, printable
from streamapp.errors import InvalidRecord, PromptError, StreamappError
from streamapp.llm.schemas.found_json import UnkeptNumber, found_json
from streamapp.llm.schemas.mismatch import said_of
from streamapp.llm.schemas.schema import Schemas
from streamapp.prompts.example_fit import Fit
from streamapp.prompts.example_set import Examples, parse_examples
from streamapp.prompts.files import PromptFile
from streamapp.prompts.guard import AUTHOR as GUARD
from streamapp.prompts.history import History
from streamapp.prompts.prompt import PRODUCTION, LabelMove, Prompt
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.settings import ExampleSettings
from streamapp.prompts.template import Template
from streamapp.records.timestamps import time_text
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import partition_counts
from streamapp.streaming.prompts.event_log import PromptLog
from streamapp.streaming.prompts.example_topic import ExampleTopic


class Wanted(NamedTuple):
    """What a version of a prompt wants of its examples."""

    template: Template
    output_schema: Mapping[str, Any] | None


def examples_of_files(settings: Settings, prompts: PromptRegistry) -> list[Finding]:
    """Look for the files of few-shot examples that prompt files name, and into them."""
    found = []
    for name in prompts.names:
        version = prompts.resolve(name, sticky=b"")
        wants = Wanted(version.template, version.output_schema)
        examples = version.settings.examples
        if examples and (problem := _problem_of_file(settings, examples, wants)):
            place = prompts.place(name, "examples")
            found.append(Finding("prompts", False, f"{place}: {problem}"))
    return found


async def published_prompts(settings: Settings) -> list[Finding]:
    """Look for and into the examples that versions on the topic name that labels point at.

    Nothing is said where there is no topic yet: a worker creates it at its start.
    """
    topics = {name: settings.topic(name) for name in ("prompts", "examples")}
    try:
        counts = await answered(settings, partition_counts(settings, list(topics.values())))
        if topics["prompts"] not in counts:
            return []
        history = History({})
        async with PromptLog(settings, history):
            pass
        named = list(named_examples(history.prompts))
        wanted = [examples for _, examples, _ in named]
        has_sets = topics["examples"] in counts
        sets = await _sets(settings, wanted) if has_sets else dict[str, bytes]()
    except (StreamappError, KafkaError) as error:
        return [
            Finding("prompts", False, f"the topic was not read: {error or type(error).__name__}")
        ]
    found = []
    for version, examples, wants in named:
        problem = _problem_of_file(settings, examples, wants)
        if name := examples.topic_set:
            problem = f"topic {topics['examples']} has no set {name!r}"
            if name in sets:
                problem = problem_of_set(f"the set {name!r}", sets[name], wants)
        if problem:
            found.append(Finding("prompts", False, f"prompt {version} on the topic: {problem}"))
    return found


async def read_prompts(settings: Settings) -> dict[str, Prompt]:
    """Return the prompts on the topic, by name; none where there is no topic yet.

    Raises:
        StreamappError: No broker answered.
        KafkaError: The topic cannot be read.
    """
    topic = settings.topic("prompts")
    if topic not in await answered(settings, partition_counts(settings, [topic])):
        return {}
    async with PromptLog(settings, History({})) as log:
        return dict(log.history.prompts)


def unpublished(files: Mapping[str, PromptFile], published: Mapping[str, Prompt]) -> list[str]:
    """Return a line for each file whose content is no version on the topic: no worker has it.

    Args:
        files: By the names of their prompts.
        published: The prompts on the topic, by name; nothing is said where there are none, as
            before the first worker.
    """
    if not published:
        return []
    now = datetime.now(UTC)  # no part of what a version is known by
    return [
        f"{name}: the content of {file.path or name} is not on the topic yet: a worker publishes"
        f" it at its start, or `{own_command()} prompts publish {file.path or name}`"
        for name, file in files.items()
        if name not in published
        or file.event(created_at=now).digest() not in published[name].numbers
    ]


def staged(published: Mapping[str, Prompt]) -> list[str]:
    """Return a line for each prompt on the topic whose newest version is not the one in use."""
    return [
        f"{name}: version {prompt.newest} is not in use, `{PRODUCTION}` is {used}:"
        f" `{own_command()} prompts label {name} {PRODUCTION} {prompt.newest}` where it is to be"
        for name, prompt in sorted(published.items())
        if (used := prompt.labels.get(PRODUCTION)) != prompt.newest
        and not (prompt.is_retired or prompt.split)
        and PRODUCTION not in dict(_taken_back(prompt))
    ]


def taken_back(published: Mapping[str, Prompt]) -> list[str]:
    """Return a line for each label that a guard took from the newest version, where it is since."""
    return [
        f"{name}: the guard moved `{label}` back from version {move.before} to {move.version} at"
        f" {time_text(move.created_at)}: {printable(move.message, keep='')}; publish a better one,"
        f" or `{own_command()} prompts label {name} {label} {move.before}` to try it again"
        for name, prompt in sorted(published.items())
        for label, move in _taken_back(prompt)
        if not prompt.is_retired
    ]


def _taken_back(prompt: Prompt) -> Iterator[tuple[str, LabelMove]]:
    for label, move in sorted(prompt.moved.items()):
        if move.author == GUARD and move.before == prompt.newest:
            yield label, move


def named_examples(
    prompts: Mapping[str, Prompt],
) -> Iterator[tuple[str, ExampleSettings, Wanted]]:
    """Yield name and labels, examples and what is wanted of them of each version in use."""
    for name, prompt in sorted(prompts.items()):
        for number in sorted(set(prompt.labels.values())):
            version = prompt.versions[number]
            examples = version.settings.examples
            if examples and not prompt.is_retired:
                labels = ", ".join(sorted(of for of, at in prompt.labels.items() if at == number))
                wants = Wanted(version.template, version.settings.output_schema)
                yield f"{name}:{number} ({labels})", examples, wants


def problem_of_set(source: str, data: bytes, wants: Wanted) -> str | None:
    """Return what is wrong with a set beside a prompt that names it; None where all fits."""
    try:
        examples = parse_examples(data)
        problems = Fit(wants.template, examples).problem, _misfit(wants.output_schema, examples)
        problem = "; ".join(filter(None, problems))
    except PromptError as error:
        problem = str(error)
    return f"{source}: {problem}" if problem else None


def _misfit(schema: Mapping[str, Any] | None, examples: Examples) -> str | None:
    """Return the first example whose answer none to a record may be; models are shown it."""
    schemas = Schemas()
    for number, example in enumerate(examples, 1) if schema else ():
        try:
            values = list(found_json(example.answer)) or [None]
            errors = [schemas.mismatch(schema or {}, value) for value in values]
        except (InvalidRecord, UnkeptNumber) as error:
            return f"example {number}: its output cannot be checked: {error}"
        if all(errors) and errors[0]:
            return f"example {number}: its output breaks output_schema: {said_of(errors[0])}"
    return None


async def _sets(settings: Settings, wanted: Iterable[ExampleSettings]) -> dict[str, bytes]:
    """Return the sets on the topic; none where nobody wants one."""
    if not any(examples.topic_set for examples in wanted):
        return {}
    topic = ExampleTopic(settings)
    try:
        await answered(settings, topic.catch_up())
        return topic.sets
    finally:
        await topic.aclose()


def _problem_of_file(settings: Settings, examples: ExampleSettings, wants: Wanted) -> str | None:
    if not examples.file:
        return None
    path = settings.prompts_dir / examples.file
    if not path.is_file():
        return f"there is no file {str(path)!r}"
    try:
        return problem_of_set(str(path), path.read_bytes(), wants)
    except OSError as error:
        return f"the file {str(path)!r} cannot be read: {error.strerror}"
