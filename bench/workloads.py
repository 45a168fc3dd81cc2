"""What is measured: the records of each workload and the provider's latency."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import orjson

#: About the size of a short request of a person.
FILLER = "Answer in one sentence, in the words of somebody who has seen it at first hand. " * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Some records and a provider that takes ``latency_s`` for each call.

    Attributes:
        name: Short name, also the prefix of the records' ids.
        title: What it shows, for the table.
        records: How many.
        keys: Distinct record keys, used in turn.
        prompts: Distinct texts, drawn at random; None = each record has its own.
        sigma: Spread of a lognormal latency with median ``latency_s``; 0 = always the same.
        pace_per_s: Records are written at this rate once the worker takes records; None = they
            all lie on the topic before it starts.
        limit_per_s: Requests that the provider admits, untold; it answers 429 above; None = all.
        is_default: Whether ``make bench`` runs it.
    """

    name: str
    title: str
    records: int
    keys: int = 200
    latency_s: float = 0.0
    prompts: int | None = None
    sigma: float = 0.0
    pace_per_s: float | None = None
    limit_per_s: float | None = None
    is_default: bool = True

    def first(self, records: int) -> "Workload":
        """Return the workload with only its first ``records`` records."""
        if records >= self.records:
            return self
        return replace(self, records=records, title=f"{self.title}; {records:,} of them")

    def times(self, factor: int) -> "Workload":
        """Return ``factor`` times as many records, of as many more keys."""
        return replace(self, records=self.records * factor, keys=self.keys * factor)

    def shrunk(self, factor: int) -> "Workload":
        """Return a small likeness for a smoke test."""
        return replace(
            self,
            title=f"1/{factor} of {self.title}",
            records=max(1, self.records // factor),
            keys=max(1, self.keys // factor),
            prompts=None if self.prompts is None else max(1, self.prompts // factor),
        )

    def messages(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (key, value) of each record, the same in every run."""
        rng = random.Random(self.name)
        for number in range(self.records):
            question = number if self.prompts is None else rng.randrange(self.prompts)
            text = f"Question {question}. {FILLER}"
            if self.sigma:
                latency_s = self.latency_s * rng.lognormvariate(0, self.sigma)
                text += f'[[fake:{{"latency_s": {latency_s:.3f}}}]]'  # the provider's script
            record = {
                "id": record_id(self.name, number),
                "type": "chat",
                "messages": [{"role": "user", "content": text}],
            }
            yield b"key-%03d" % (number % self.keys), orjson.dumps(record)


def record_id(workload: str, number: int) -> str:
    """Return the id of record ``number`` of ``workload``."""
    return f"{workload}-{number:06d}"


def record_number(id_: str) -> int:
    """Return the number in an id of ``record_id``."""
    return int(id_.rpartition("-")[2])


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload(
            name="W1",
            title="2,000 records of 200 keys, 200 ms a call (ideal: 2.0 s in key order)",
            records=2_000,
            latency_s=0.2,
        ),
        Workload(name="W2", title="20,000 records, 0 ms a call: pure overhead", records=20_000),
        Workload(
            name="W3",
            title="2,000 records, lognormal latency (median 200 ms, sigma 1)",
            records=2_000,
            latency_s=0.2,
            sigma=1.0,
        ),
        Workload(
            name="W4",
            title="2,000 records with 200 distinct prompts, 200 ms a call",
            records=2_000,
            latency_s=0.2,
            prompts=200,
            is_default=False,
        ),
        Workload(
            name="W5",
            title="3,000 records, a provider that takes 300 requests/s and does not say so",
            records=3_000,
            latency_s=0.2,
            limit_per_s=300,
        ),
        Workload(
            name="W7-10",
            title="10 records/s from the first moment, 200 ms a call",
            records=100,
            latency_s=0.2,
            pace_per_s=10,
        ),
        Workload(
            name="W7-100",
            title="100 records/s from the first moment, 200 ms a call",
            records=1_000,
            latency_s=0.2,
            pace_per_s=100,
        ),
        Workload(name="start", title="one record, from the start of the process", records=1),
    )
}
#: For each worker. Latencies differ, so that calls do not end all at the same moments.
SCALE = Workload(
    name="scale",
    title="1,024 records a worker, each of its own key, lognormal latency (median 1 s, sigma 0.3)",
    records=1_024,
    keys=1_024,
    latency_s=1.0,
    sigma=0.3,
)
MEMORY = Workload(name="memory", title="memory over 200,000 records", records=200_000, keys=1_000)
RECOVERY = Workload(
    name="recovery",
    title="start with 100,000 answers in the changelog",
    records=100_000,
    keys=1_000,
)
