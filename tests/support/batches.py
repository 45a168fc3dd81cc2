"""Record batches as other clients write them, and as broken disks leave them."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

from tests.e2e.stage import Record, Stage

#: Places in a batch of the message format 2. Source: Kafka protocol guide, "Record Batch".
LENGTH_AT, CRC_AT, ATTRIBUTES_AT, RECORDS_AT = 8, 17, 21, 61

CODECS = ("gzip", "snappy", "lz4", "zstd")


async def produce_with(stage: Stage, records: list[Record], **options: Any) -> None:
    """Produce the records in one go with a producer of its own, e.g. ``compression_type``."""
    producer = AIOKafkaProducer(
        bootstrap_servers=stage.broker.bootstrap, linger_ms=200, max_batch_size=1_000_000, **options
    )
    async with producer:
        sent = [
            await producer.send(
                f"{stage.prefix}.requests", record.value, key=record.key, partition=record.partition
            )
            for record in records
        ]
        for delivery in sent:
            await delivery


async def produce_named(stage: Stage, topic: str, record: Record, name: bytes) -> None:
    """Produce a record with headers of that name, which may be any bytes, as librdkafka does."""
    async with AIOKafkaProducer(bootstrap_servers=stage.broker.bootstrap) as producer:
        batch = producer.create_batch()
        stand_in = "x" * len(name)
        headers = [*record.headers, (stand_in, b"1"), (stand_in, b"2")]
        batch.append(key=record.key, value=record.value, timestamp=None, headers=headers)
        batch._buffer = renamed(batch._build(), stand_in.encode(), name)
        await (await producer.send_batch(batch, topic, partition=record.partition or 0))


def renamed(batch: bytes, old: bytes, new: bytes) -> bytes:
    """Return a batch that is not compressed with other bytes of the same length, and their CRC."""
    data = bytearray(batch.replace(old, new))
    struct.pack_into(">I", data, CRC_AT, calc_crc32c(bytes(data[ATTRIBUTES_AT:])))
    return bytes(data)


def flip_a_bit(log: Path, *, batch: int) -> None:
    """Change one bit of the records of the batch of that number, counted from 0: a wrong CRC."""
    data = bytearray(log.read_bytes())
    _, end = list(_batches(data))[batch]
    data[end - 1] ^= 1
    log.write_bytes(data)


def set_codec(log: Path, codec: int, *, batch: int) -> None:
    """Let the batch of that number claim to be compressed by ``codec``, with a right CRC."""
    data = bytearray(log.read_bytes())
    start, end = list(_batches(data))[batch]
    (attributes,) = struct.unpack_from(">h", data, start + ATTRIBUTES_AT)
    struct.pack_into(">h", data, start + ATTRIBUTES_AT, attributes & ~7 | codec)
    crc = calc_crc32c(bytes(data[start + ATTRIBUTES_AT : end]))
    struct.pack_into(">I", data, start + CRC_AT, crc)
    log.write_bytes(data)


def cut_off(log: Path, *, batch: int) -> None:
    """Let a stopped broker's log end before the batch of that number, as one restored earlier."""
    data = bytearray(log.read_bytes())
    start, _ = list(_batches(data))[batch]
    log.write_bytes(data[:start])
    for beside in (*log.parent.glob("*index"), *log.parent.glob("*.snapshot")):
        beside.unlink()
    (log.parents[1] / ".kafka_cleanshutdown").unlink(missing_ok=True)


def segment(data_directory: Path, topic: str, partition: int) -> Path:
    """Return the first segment of a partition in a broker's data directory."""
    return data_directory / f"{topic}-{partition}" / f"{0:020d}.log"


def _batches(data: bytearray) -> Iterator[tuple[int, int]]:
    """Yield first byte and end of each batch."""
    start = 0
    while start + RECORDS_AT <= len(data):
        (length,) = struct.unpack_from(">i", data, start + LENGTH_AT)
        if length <= 0:  # what the broker has reserved
            return
        end = start + LENGTH_AT + 4 + length
        yield start, end
        start = end
