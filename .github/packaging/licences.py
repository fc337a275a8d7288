"""The licence texts of all crates in the binary. Reads `cargo metadata`, writes one text."""

import pathlib
import re
import sys

from crates import linked

NAMES = re.compile(r"^(licen[cs]e|copying|notice|unlicense|copyright)", re.IGNORECASE)


def texts(package):
    folder = pathlib.Path(package["manifest_path"]).parent
    # Also below: code that a crate took over has texts of its own there (ring: fiat).
    files = sorted(f for f in folder.rglob("*") if f.is_file() and NAMES.match(f.name))
    return [(f.name, f.read_text(encoding="utf-8", errors="replace").strip()) for f in files]


def main():
    _, packages = linked()
    known = {}  # text -> its number
    print("soci-layout contains these crates. Their licence texts follow, each once.\n")
    for package in packages:
        numbers = []
        for _, text in texts(package):
            numbers.append(known.setdefault(text, len(known) + 1))
        licence = package["license"] or "see text"
        which = ", ".join(f"[{n}]" for n in numbers) or "no text in the crate"
        print(f"{package['name']} {package['version']}: {licence}: {which}")
    for text, number in known.items():
        print(f"\n{'=' * 78}\n[{number}]\n\n{text}")


if __name__ == "__main__":
    sys.exit(main())
