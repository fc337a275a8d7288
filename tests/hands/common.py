"""What the checks of this folder share: counting, running, a registry and a BuildKit on loopback, the code blocks of pages."""

import contextlib
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.request

REPO = pathlib.Path(__file__).resolve().parents[2]
FAILED = []
PASSED = 0


def check(what, true, said=""):
    global PASSED
    if true:
        PASSED += 1
    else:
        FAILED.append(what)
    print(f"{'ok  ' if true else 'FAIL'} {what}" + (f"\n{said}" if not true and said else ""), flush=True)


def run(command, env=None, cwd=None):
    return subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600)


@contextlib.contextmanager
def registry(folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    process = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5).read()
                break
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def blocks(page, language):
    """Code blocks of a page, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (REPO / page).read_text(), re.MULTILINE | re.DOTALL)


# The client alone: it builds in the BuildKit of these tests, and who logs in needs no password on loopback.
DOCKER = """#!/bin/sh
case "$1 ${2:-}" in
  "login "*) exec cat > /dev/null ;;
  "buildx create") exec "$BUILDX" create --driver remote "$BUILDKIT" ;;
  "buildx "*) shift; exec "$BUILDX" "$@" ;;
esac
echo "no such command here: $*" >&2
exit 1
"""


@contextlib.contextmanager
def buildkit(folder, binaries):
    """A BuildKit (as root, its own runc worker), and what has to be in the environment for `docker` to build in it."""
    socket_ = f"unix://{folder}/buildkit.sock"
    command = [f"{binaries}/buildkitd", "--config", os.devnull, "--root", folder / "buildkit", "--addr", socket_, "--group", str(os.getgid()),
               "--containerd-worker=false", "--oci-worker-snapshotter=native", "--oci-worker-net=host"]
    root = [] if os.getuid() == 0 else ["sudo", "-n"]
    env = {"BUILDX": f"{binaries}/buildx", "BUILDKIT": socket_, "BUILDX_CONFIG": str(folder / "buildx"), "BUILDX_BUILDER": "tests"}
    with open(folder / "buildkit.log", "w") as log:
        process = subprocess.Popen([*root, *command], stdout=log, stderr=log, cwd=folder)
    try:
        for _ in range(300):
            if (folder / "buildkit.sock").exists():
                break
            assert process.poll() is None, (folder / "buildkit.log").read_text()
            time.sleep(0.1)
        made = run([f"{binaries}/buildx", "create", "--name", "tests", "--driver", "remote", socket_], {**os.environ, **env})
        assert made.returncode == 0, made.stderr
        yield env
    finally:
        subprocess.run([*root, "kill", str(process.pid)], check=False)
        process.wait()
        if root:
            subprocess.run([*root, "rm", "-rf", folder / "buildkit"], check=False)


def source(folder):
    """What a Dockerfile stands in: two layers that are worth a zTOC, of bytes that do not compress."""
    for name in ("data", "more"):
        (folder / name).mkdir(parents=True)
        for number in range(12):
            (folder / name / f"{number}.bin").write_bytes(os.urandom(1 << 20))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY data /data\nCOPY more /more\n")


def exported(folder, binaries, builder):
    """What BuildKit writes for two platforms, with its attestations."""
    source(folder / "context")
    output = f"type=oci,tar=false,dest={folder}/oci-dir"
    command = ["build", "--platform", "linux/amd64,linux/arm64", "--output", output, "--tag", "example.com/app:v1", folder / "context"]
    done = run([f"{binaries}/buildx", *command], {**os.environ, **builder})
    assert done.returncode == 0, done.stderr
    return folder / "oci-dir"


def shell(script, folder, binary, binaries, more=None):
    """Runs lines of a page as they stand there, in a folder with `oci-dir` or a Dockerfile."""
    bin_ = folder / "bin"
    bin_.mkdir(exist_ok=True)
    (bin_ / "docker").write_text(DOCKER)
    (bin_ / "docker").chmod(0o755)
    path = f"{bin_}:{binary.parent}:{binaries}:/usr/bin:/bin"
    env = {"HOME": str(folder), "PATH": path, "BUILDX": f"{binaries}/buildx", **(more or {})}
    return run(["sh", "-euc", script], env, folder)
