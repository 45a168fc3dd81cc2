"""Commands that tests run to their end."""

from tests.support.commands import streamapp


async def test_a_command_reads_prints_and_ends_as_when_typed() -> None:
    """Its input, both outputs and the exit code are those of a process of its own."""
    version = await streamapp("--version", env={})
    unknown = await streamapp("no-such", env={})
    misread = await streamapp(
        "send", "-", env={"STREAMAPP_BROKER": "kafka://127.0.0.1:1"}, stdin=b'{"type": 1'
    )

    assert (version.code, version.err) == (0, "")
    assert version.out.startswith("streamapp")
    assert (unknown.code, unknown.out) == (2, "")
    assert "no-such" in unknown.err
    assert misread.code != 0
    assert "line 1" in misread.out + misread.err
