"""The findings of `streamapp check` about few-shot examples: files and sets that are missing."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime

from aiokafka.errors import KafkaError

from streamapp.cli.finding import Finding
from streamapp.cli.kafka import answered
from streamapp.cli.terminal import own_command
from streamapp.errors import StreamappError
from streamapp.prompts.files import PromptFile
from streamapp.prompts.history import History
from streamapp.prompts.prompt import PRODUCTION, Prompt
from streamapp.prompts.registry import PromptRegistry
from streamapp.prompts.settings import ExampleSettings
from streamapp.settings import Settings
from streamapp.streaming.broker.topics import partition_counts
from streamapp.streaming.prompts.event_log import PromptLog
from streamapp.streaming.prompts.example_topic import ExampleTopic


def examples_of_files(settings: Settings, prompts: PromptRegistry) -> list[Finding]:
    """Look for the files of few-shot examples that prompt files name."""
    found = []
    for name in prompts.names:
        examples = prompts.resolve(name, sticky=b"").settings.examples
        if examples and (problem := _missing_file(settings, examples)):
            place = prompts.place(name, "examples")
            found.append(Finding("prompts", False, f"{place}: {problem}"))
    return found


async def published_prompts(settings: Settings) -> list[Finding]:
    """Look for the examples that versions on the topic name, those that labels point at.

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
        named = list(_named(history))
        wanted = [examples for _, examples in named]
        sets = await _sets(settings, wanted) if topics["examples"] in counts else set[str]()
    except (StreamappError, KafkaError) as error:
        return [
            Finding("prompts", False, f"the topic was not read: {error or type(error).__name__}")
        ]
    found = []
    for place, examples in named:
        problem = _missing_file(settings, examples)
        if examples.topic_set and examples.topic_set not in sets:
            problem = f"topic {topics['examples']} has no set {examples.topic_set!r}"
        if problem:
            found.append(Finding("prompts", False, f"{place}: {problem}"))
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
    ]


def _named(history: History) -> Iterator[tuple[str, ExampleSettings]]:
    """Yield place and examples of each version in use that names some."""
    for name, prompt in sorted(history.prompts.items()):
        for number in sorted(set(prompt.labels.values())):
            examples = prompt.versions[number].settings.examples
            if examples and not prompt.is_retired:
                labels = ", ".join(sorted(of for of, at in prompt.labels.items() if at == number))
                yield f"prompt {name}:{number} ({labels}) on the topic", examples


async def _sets(settings: Settings, wanted: Iterable[ExampleSettings]) -> set[str]:
    """Return the names of the sets on the topic; none where nobody wants one."""
    if not any(examples.topic_set for examples in wanted):
        return set()
    topic = ExampleTopic(settings)
    try:
        await answered(settings, topic.catch_up())
        return set(topic.sets)
    finally:
        await topic.aclose()


def _missing_file(settings: Settings, examples: ExampleSettings) -> str | None:
    if examples.file and not (settings.prompts_dir / examples.file).is_file():
        return f"there is no file {str(settings.prompts_dir / examples.file)!r}"
    return None
