"""The files of a release, before anything is installed from it: what `make dist` left."""

import hashlib
import json
import pathlib
import platform
import re
import shutil
import struct
import tarfile
import tomllib
import urllib.parse

import macho
from common import REPO, check, run

TARGETS = ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-musl", "x86_64-apple-darwin", "aarch64-apple-darwin"]
SHELLS = ["bash", "zsh", "fish", "elvish", "powershell"]
ELF_MACHINES = {"x86_64": 62, "aarch64": 183}
# The program header of a binary that wants a loader.
INTERPRETER = 3


def read(archive):
    """Contents of an archive's files, by their names below its one directory."""
    with tarfile.open(archive) as files:
        found = {member.name: files.extractfile(member).read() for member in files if member.isfile()}
    top = archive.name.removesuffix(".tar.gz") + "/"
    check(f"{archive.name} has one directory of its own name", all(name.startswith(top) for name in found), "\n".join(found))
    return {name.removeprefix(top): data for name, data in found.items()}


def elf(data, machine):
    """Why Linux on this machine would not run it by itself."""
    wrong = []
    if data[:5] != b"\x7fELF\x02" or struct.unpack_from("<H", data, 18)[0] != ELF_MACHINES[machine]:
        return [f"not a program for {machine}"]
    table, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<2H", data, 54)
    for number in range(count):
        kind, = struct.unpack_from("<I", data, table + number * size)
        if kind == INTERPRETER:
            wrong.append("it wants a loader")
    return wrong


def archives(dist):
    sums = dict(reversed(line.split("  ", 1)) for line in (dist / "SHA256SUMS").read_text().splitlines())
    files = sorted(p.name for p in dist.iterdir() if p.name != "SHA256SUMS")
    check("SHA256SUMS lists every file", sorted(sums) == files, str(files))
    right = all(hashlib.sha256((dist / name).read_bytes()).hexdigest() == sums[name] for name in files)
    check("and is right", right)
    for archive in sorted(dist.glob("soci-layout-*.tar.gz")):
        files = read(archive)
        wanted = {"soci-layout", "LICENSE", "README.md", "THIRD-PARTY-LICENSES.txt", "man/soci-layout.1"}
        wanted.update(f"completions/soci-layout.{shell}" for shell in SHELLS)
        check(f"{archive.name} is complete", wanted <= set(files), str(wanted - set(files)))
        check(f"{archive.name} has the licence", files["LICENSE"] == (REPO / "LICENSE").read_bytes())
        machine, system = re.search(r"-(x86_64|aarch64)-[a-z]+-([a-z]+)", archive.name).groups()
        wrong = (macho.problems if system == "darwin" else elf)(files["soci-layout"], machine)
        check(f"{archive.name} has a binary that its system runs", not wrong, "\n".join(wrong[:20]))
        strange = [path for path in (f"{REPO}/", f"{pathlib.Path.home()}/") if path.encode() in files["soci-layout"]]
        check(f"{archive.name} names no path of this machine", not strange, str(strange))
    bom = json.loads(next(dist.glob("*.cdx.json")).read_text())
    named = {c["name"] for c in bom["components"]}
    check("the bill of materials names what is linked, and nothing that only tests use", "sha2" in named and "proptest" not in named)


def metadata(dist):
    """What leads installers to the archives."""
    manifest = tomllib.loads((REPO / "Cargo.toml").read_text())["package"]
    binstall = manifest["metadata"]["binstall"]
    for target in [*TARGETS, "x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"]:
        rules = {**binstall, **binstall["overrides"].get(target, {})}
        values = {"repo": manifest["repository"], "version": manifest["version"], "target": target, "archive-suffix": ".tar.gz",
                  "bin": "soci-layout", "binary-ext": ""}

        def filled(template):
            return re.sub(r"\{ ([a-z-]+) \}", lambda name: values[name[1]], template)

        archive = dist / f"soci-layout-{manifest['version']}-{target.replace('linux-gnu', 'linux-musl')}.tar.gz"
        url = f"{manifest['repository']}/releases/download/v{manifest['version']}/{archive.name}"
        check(f"cargo binstall looks for {target} where it is", filled(rules["pkg-url"]) == url and rules["pkg-fmt"] == "tgz", filled(rules["pkg-url"]))
        inside = archive.name.removesuffix(".tar.gz") + "/soci-layout"
        check(f"and for the binary of {target}", filled(rules["bin-dir"]) == inside, filled(rules["bin-dir"]))
    template = REPO / ".github/packaging/homebrew.rb.in"
    formula = dist / "soci-layout.rb"
    if shutil.which("ruby"):
        done = run(["ruby", "-c", formula if formula.exists() else template])
        check("ruby takes the formula", done.returncode == 0, done.stderr)
    if not formula.exists():
        missing = [t for t in TARGETS if not (dist / f"soci-layout-{manifest['version']}-{t}.tar.gz").exists()]
        check("there is no formula only where there is not every archive", bool(missing))
        return
    text = formula.read_text()
    pairs = re.findall(r'url "([^"]*)"\s+sha256 "([^"]*)"', text)
    sums = {urllib.parse.urlsplit(url).path.rsplit("/", 1)[1]: sha256 for url, sha256 in pairs}
    right = {name: hashlib.sha256((dist / name).read_bytes()).hexdigest() for name in sums if (dist / name).exists()}
    check("the formula has the four archives with their checksums", len(sums) == 4 and sums == right and "@" not in text, text)


def current(dist, binary, folder):
    """Manual pages and completions are those of the program, and programs for other processors write the same."""
    pages = folder / "man"
    run([binary, "man", "--output", pages])
    wanted = {f"man/{page.name}": page.read_bytes() for page in pages.iterdir()}
    wanted.update({f"completions/soci-layout.{shell}": run([binary, "completions", shell]).stdout.encode() for shell in SHELLS})
    for archive in sorted(dist.glob("soci-layout-*.tar.gz")):
        files = {name: data for name, data in read(archive).items() if name.startswith(("man/", "completions/"))}
        check(f"{archive.name} has the program's manual pages and completions", files == wanted)
        if "aarch64-unknown-linux" in archive.name and platform.machine() == "x86_64" and shutil.which("qemu-aarch64"):
            other = folder / "soci-layout-aarch64"
            other.write_bytes(read(archive)["soci-layout"])
            other.chmod(0o755)
            written = []
            for command in ([binary], ["qemu-aarch64", other]):
                layout = folder / "layout"
                shutil.copytree(REPO / "testdata/layouts/multi-attest", layout)
                done = run([*command, "index", "--index-version", "both", "--min-layer-size", "0", layout])
                check(f"{pathlib.Path(command[0]).name} indexes", done.returncode == 0, done.stderr)
                written.append({p.relative_to(layout): p.read_bytes() for p in layout.rglob("*") if p.is_file()})
                shutil.rmtree(layout)
            check("the binary for aarch64 writes the same bytes", written[0] == written[1])
