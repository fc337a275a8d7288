"""Makes layers: `inputs.py [--quick] NAME…`. A process of its own: what it needs ends with it."""

import sys

import layers
import places


def main(arguments: list) -> None:
    quick = "--quick" in arguments
    layers.make(places.data(quick), [a for a in arguments if not a.startswith("-")])


if __name__ == "__main__":
    main(sys.argv[1:])
