"""What the checks of this folder share: counting, running, a registry on loopback, the code blocks of pages."""

import contextlib
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


def layouts(folder):
    run_script = run(["bash", REPO / "tests/demo/make-layout.sh", folder / "oci-dir"])
    assert run_script.returncode == 0, run_script.stderr
    return folder / "oci-dir"


def blocks(page, language):
    """Code blocks of a page, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```", (REPO / page).read_text(), re.MULTILINE | re.DOTALL)


def shell(script, folder, binary, binaries, more=None):
    """Runs lines of a page as they stand there, with a `docker` that has buildx only, in a folder with `oci-dir`."""
    bin_ = folder / "bin"
    bin_.mkdir()
    (bin_ / "docker").write_text(f'#!/bin/sh\n[ "$1" = buildx ] || exit 1\nshift\nexec "{binaries}/buildx" "$@"\n')
    (bin_ / "docker").chmod(0o755)
    env = {"HOME": str(folder), "PATH": f"{bin_}:{binary.parent}:{binaries}:/usr/bin:/bin", **(more or {})}
    return run(["sh", "-euc", script], env, folder)
