"""`streamapp worker`: Faust's worker with our defaults."""

import click


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def worker(arguments: tuple[str, ...]) -> None:
    """Run the worker; options are those of `faust worker` (--help lists them).

    SIGTERM stops it: what runs is finished for up to STREAMAPP_DRAIN_S, then exit 0.
    """
    import mode.loop

    mode.loop.use("uvloop")
    from faust.cli.faust import cli

    from streamapp.bootstrap import create_app

    # Faust parses the command line once more and exits by itself.
    cli.main(["--quiet", "worker", *arguments], prog_name="streamapp", app=create_app())
