"""`python -m leadflood` and the `leadflood` command."""

from leadflood.cli import main

if __name__ == "__main__":
    main()
