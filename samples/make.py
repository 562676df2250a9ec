"""Draws the shipped sample set; the same seed and the same fonts give the same bytes.

python samples/make.py --out samples --seed 7
"""

import argparse
import sys
from pathlib import Path

from samples.maker.build import build
from samples.maker.fonts import FontError


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write (default: samples)")
    parser.add_argument("--seed", type=int, default=7, help="same seed, same samples (default: 7)")
    args = parser.parse_args()
    try:
        print(build(args.out, args.seed))
    except FontError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
