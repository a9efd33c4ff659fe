"""`python -m craton` is `craton`."""

from craton.cli.main import main

main(prog_name="craton")
