"""The guard of a label: decides whether its new version does worse than its author allows."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from streamapp.prompts.events import Labelled
from streamapp.prompts.prompt import LATEST, PRODUCTION, Prompt
from streamapp.prompts.variants import Variants

AUTHOR = "guard"


class Guard:
    """Watches the versions whose front matter has a ``guard``, by this process's own counts.

    Args:
        variants: What versions came to.
        now: Wall clock, aware.
    """

    def __init__(self, variants: Variants, *, now: Callable[[], datetime]) -> None:
        self._variants = variants
        self._now = now
        #: What each version had come to when a label came to it, in the order in which it did.
        self._pointed: dict[tuple[str, str], dict[int, tuple[int, int]]] = {}

    def rollbacks(self, prompts: Mapping[str, Prompt]) -> Iterator[tuple[str, Labelled]]:
        """Yield the moves that are called for now, with the names of their prompts.

        A label goes to the version before this one; one that had none goes to production's.
        """
        for name, prompt in prompts.items():
            for label, version in prompt.labels.items():
                calls, faults = self._counted_since(name, label, version)
                guard = prompt.versions[version].settings.guard
                if guard is None or label == LATEST:
                    continue
                if calls < guard.calls or faults <= guard.error_rate * calls:
                    continue
                back = (prompt.before.get(label) or (prompt.labels[PRODUCTION],))[-1]
                if back != version:
                    yield (
                        name,
                        Labelled(
                            label=label,
                            version=back,
                            expected=version,
                            author=AUTHOR,
                            message=f"{faults} of {calls} records failed with version {version}",
                            force=True,
                            created_at=self._now(),
                        ),
                    )

    def _counted_since(self, name: str, label: str, version: int) -> tuple[int, int]:
        """Return calls and faults since the label has pointed at the version."""
        calls, faults = self._variants.counted(name, version, label)
        pointed = self._pointed.setdefault((name, label), {})
        if version not in pointed:
            # What came in before the first look counts: a batch may be all there is for long.
            pointed[version] = 0, 0
        elif version != next(reversed(pointed)):
            pointed[version] = calls, faults
        pointed[version] = since = pointed.pop(version)  # the last one is that of now
        return calls - since[0], faults - since[1]
