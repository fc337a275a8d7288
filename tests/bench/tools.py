"""The programs the benchmark needs: found, built or installed."""

import os
import shutil
import subprocess
import sys

from places import BENCH, BIN, OURS, REPO, VENV

RAPIDGZIP = "rapidgzip==0.16.2"

# Command: its Debian package.
PACKAGES = {
    "debootstrap": "debootstrap",
    "igzip": "isal",
    "libdeflate-gzip": "libdeflate-tools",
    "openssl": "openssl",
    "pigz": "pigz",
}


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def quietly(argv, **more) -> None:
    """Runs a command; shows what it said only when it fails."""
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
    if done.returncode:
        tail = done.stdout.decode(errors="replace")[-2000:]
        raise SystemExit(f"bench: {argv[0]} failed:\n{tail}")


def as_root(argv: list) -> list:
    return argv if os.geteuid() == 0 else ["sudo", "-n", *argv]


def install_packages() -> None:
    """What apt cannot give is left out of the measurement, not an error."""
    want = [package for command, package in PACKAGES.items() if not have(command)]
    if not want or not have("apt-get") or not (os.geteuid() == 0 or have("sudo")):
        return
    say("installing " + " ".join(want))
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *want]):
        subprocess.run(as_root(["apt-get", *step]), stdout=subprocess.DEVNULL, env=environment, check=False)


def have(command: str) -> bool:
    return shutil.which(command, path=search_path()) is not None


def search_path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


def go_build(module, package: str, output) -> None:
    quietly(["go", "build", "-o", output, f"./cmd/{package}"], cwd=module)


def rapidgzip():
    """ISA-L in a tool that reads gzip; its wheel has a program in Python."""
    program = VENV / "bin" / "rapidgzip"
    if not program.exists():
        say(f"installing {RAPIDGZIP}")
        quietly([sys.executable, "-m", "venv", VENV])
        pip = [VENV / "bin" / "pip", "install", "--quiet", RAPIDGZIP]
        if subprocess.run(pip, check=False).returncode:
            say(f"{RAPIDGZIP} cannot be installed and is left out")
            return None
    return program


def take(binary) -> None:
    """Keeps the build that is measured."""
    if not os.access(binary, os.X_OK):
        raise SystemExit(f"bench: {binary} is not there; run `make build`")
    shutil.copy2(binary, OURS)


def prepare() -> None:
    BIN.mkdir(parents=True, exist_ok=True)
    install_packages()
    say("building the reference and our helpers")
    go_build(REPO / "tests" / "peer", "peer", BIN / "peer")
    go_build(BENCH / "go", "gz", BIN / "bench-gz")
    go_build(BENCH / "go", "run", BIN / "bench-run")
    go_build(BENCH / "go", "feed", BIN / "bench-feed")
