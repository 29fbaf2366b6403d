"""`python -m counterpoint` is the `counterpoint` command."""

from counterpoint.cli.main import run

if __name__ == "__main__":
    run()
