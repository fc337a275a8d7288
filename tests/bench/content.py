"""Real content to fill layers with: directory trees, fetched once and kept."""

import glob
import os
import platform
import shutil
import subprocess
import zipfile
from pathlib import Path

from tools import have, quietly, say, search_path

MIB = 1 << 20

# The wheels are content only, so that of one platform does for all.
WHEEL = ("torch==2.0.1", "manylinux1_x86_64")
QUICK_WHEEL = ("pyarrow==17.0.0", "manylinux2014_x86_64")


def debian(tree: Path, quick: bool) -> None:
    """A Debian root of some 200 MB; where none can be made, as much of /usr."""
    if quick:
        usr_part(tree, 64 * MIB)
    elif os.geteuid() != 0 or not have("debootstrap") or not debootstrap(tree):
        say("no debootstrap here: the Debian root is a part of /usr instead")
        shutil.rmtree(tree, ignore_errors=True)
        usr_part(tree, 204 * MIB)


def debootstrap(tree: Path) -> bool:
    say("making a Debian root")
    # It mounts /proc into the root and may leave it there; in a mount namespace of its own that ends with it.
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "debootstrap", "--variant=minbase", "--include=python3", "bookworm", str(tree)],
        stdout=subprocess.DEVNULL, check=False, env={**os.environ, "PATH": search_path()},
    )
    for deb in (tree / "var/cache/apt/archives").glob("*.deb"):
        deb.unlink()
    return done.returncode == 0


def usr_part(tree: Path, limit: int) -> None:
    """The first files of /usr/lib, in the order of their names, up to a limit."""
    total = 0
    for directory, names, files in os.walk("/usr/lib"):
        names.sort()
        for name in sorted(files):
            source = Path(directory, name)
            if source.is_symlink() or not os.access(source, os.R_OK):
                continue
            total += source.stat().st_size
            if total > limit:
                return
            target = tree / source.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


def java(tree: Path, _quick: bool) -> None:
    """A Java runtime from its Debian package."""
    fetch = tree.with_name("java-package")
    fetch.mkdir(parents=True, exist_ok=True)
    quietly(["apt-get", "download", "openjdk-17-jre-headless"], cwd=fetch)
    (package,) = fetch.glob("*.deb")
    quietly(["dpkg-deb", "-x", package, tree])
    shutil.rmtree(fetch)


def wheel(tree: Path, quick: bool) -> None:
    """A Python wheel, as installed: large shared libraries and many headers."""
    requirement, tag = QUICK_WHEEL if quick else WHEEL
    fetch = tree.with_name("wheel-package")
    quietly([
        "python3", "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--implementation=cp",
        "--python-version=3.11", "--abi=cp311", f"--platform={tag}", f"--dest={fetch}", requirement,
    ])
    (package,) = glob.glob(f"{fetch}/*.whl")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(tree / "usr/local/lib/python3.11/site-packages")
    shutil.rmtree(fetch)


TREES = {"debian": debian, "java": java, "wheel": wheel}


def tree(data: Path, name: str) -> Path:
    """The tree of that name, made where it is missing."""
    final, making = data / "trees" / name, data / "trees" / f"{name}.making"
    if not final.exists():
        say(f"fetching content: {name} ({platform.machine()})")
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        TREES[name](making, data.name == "quick")
        making.rename(final)
    return final
