"""`python -m streamapp`."""

from streamapp.cli import main

main(prog_name="streamapp")
