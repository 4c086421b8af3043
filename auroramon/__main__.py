"""`python -m auroramon` is `auroramon`."""

from auroramon.cli import main

main()
