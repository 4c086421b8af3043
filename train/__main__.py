"""`python -m train`."""

from train.commands import main

if __name__ == "__main__":
    main()
