#!/usr/bin/env python3
"""What people do first, done as they do it: install from a release, use the action in a job, push.

    run.py DIST WORK_BIN

Serves DIST as a release on loopback, installs from it with install.sh into an empty home, then takes the
`run:` steps out of action.yml and runs them with a runner's environment on a real export, pushes the result
to a registry on loopback and looks the SOCI index up there. Exports are BuildKit's. Needs what `tests/setup.sh hands` installs,
and root (or sudo) for BuildKit.
"""

import contextlib
import functools
import hashlib
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.request

import common
import recipes
import release
import schemas
import yaml
from common import FAILED, REPO, blocks, buildkit, check, exported, registry, run, shell, source


class Release(http.server.SimpleHTTPRequestHandler):
    """DIST under /latest/download and /download/v…, as a release is."""

    asked = []

    def translate_path(self, path):
        return super().translate_path("/" + path.rsplit("/", 1)[1])

    def do_GET(self):
        self.asked.append(self.path)
        if self.path.startswith(("/latest/download/", "/download/v0.")):
            super().do_GET()
        else:
            self.send_error(404)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(dist):
    handler = functools.partial(Release, directory=str(dist))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def installs(base, dist, folder):
    home = folder / "home"
    home.mkdir()
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    env = {"HOME": str(home), "PATH": path}
    script = dist / "install.sh"
    done = run(["sh", script, "--base", base], env)
    binary = home / ".local/bin/soci-layout"
    check("install.sh puts the binary into ~/.local/bin", done.returncode == 0 and binary.is_file(), done.stderr)
    check("it says what to do where that is not on the PATH", "export PATH=" in done.stdout, done.stdout)
    check("only the binary is left behind", [p.name for p in (home / ".local/bin").iterdir()] == ["soci-layout"])
    linked = run(["ldd", binary])
    check("the binary is static", "not a dynamic executable" in linked.stderr + linked.stdout or "statically linked" in linked.stdout)

    done = run(["sh", script, "--base", base, "--version", "v9.9.9", "--to", folder / "none"], env)
    check("a release that is not there is an error that names it", done.returncode == 1 and "v9.9.9" in done.stderr, done.stderr)
    check("and nothing was installed", not (folder / "none").exists())

    # The archive differs from the list.
    broken = folder / "broken"
    shutil.copytree(dist, broken)
    for archive in broken.glob("soci-layout-*.tar.gz"):
        archive.write_bytes(archive.read_bytes() + b"x")
    with served(broken) as other:
        done = run(["sh", script, "--base", other, "--to", folder / "none"], env)
    check("a wrong checksum is an error", done.returncode == 1 and "SHA-256" in done.stderr, done.stderr)
    check("and nothing was installed then either", not (folder / "none").exists())
    return binary


def steps():
    action = yaml.safe_load((REPO / "action.yml").read_text())
    return action, [s for s in action["runs"]["steps"] if "run" in s]


class Job:
    """A runner's environment for the steps of action.yml."""

    def __init__(self, folder, base, binaries):
        self.folder = folder
        self.temp = folder / "runner"
        self.temp.mkdir(parents=True)
        self.base = base
        self.files = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_PATH")}
        for file in self.files.values():
            file.touch()
        self.path = f"{binaries}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    def env(self, step, inputs):
        """The step's environment with `${{ inputs.x }}` and the contexts that action.yml uses filled in."""
        values = {f"inputs.{k}": v for k, v in inputs.items()}
        values["github.action_path"] = str(REPO)
        values["github.action_repository"] = "owner/name"
        values["github.server_url"] = "http://127.0.0.1:1"
        env = {"HOME": str(self.folder), "PATH": self.path, "CI": "true", "RUNNER_TEMP": str(self.temp), "SOCI_LAYOUT_BASE": self.base}
        env.update({k: str(v) for k, v in self.files.items()})
        for name, text in step.get("env", {}).items():
            for key, value in values.items():
                text = text.replace("${{ " + key + " }}", value)
            assert "${{" not in text, text
            env[name] = text
        return env

    def run(self, inputs):
        action, found = steps()
        inputs = {k: inputs.get(k, v.get("default", "")) for k, v in action["inputs"].items()}
        said = []
        for step in found:
            condition = step.get("if", "")
            wanted = not condition or inputs[condition.split("inputs.")[1].split(" ")[0]] == "true"
            if not wanted:
                continue
            script = self.folder / "step.sh"
            script.write_text(step["run"])
            done = run(["bash", "--noprofile", "--norc", "-eo", "pipefail", script], self.env(step, inputs), self.folder)
            said.append(done)
            if done.returncode != 0:
                break
        return said

    def outputs(self):
        found, lines = {}, iter(self.files["GITHUB_OUTPUT"].read_text().splitlines())
        for line in lines:
            if "<<" in line.split("=")[0]:
                name, end = line.split("<<")
                found[name] = []
                for inner in lines:
                    if inner == end:
                        break
                    found[name].append(inner)
            else:
                name, value = line.split("=", 1)
                found[name] = value
        return found


def blob(host, digest):
    with urllib.request.urlopen(f"http://{host}/v2/app/blobs/{digest}", timeout=60) as answer:
        return "sha256:" + hashlib.sha256(answer.read()).hexdigest()


def action(base, folder, binaries, builder):
    layout = exported(folder, binaries, builder)
    job = Job(folder / "job", base, binaries)
    Release.asked.clear()
    said = job.run({"layout": str(layout), "cache": "true"})
    version = re.search(r'^version = "(.*)"', (REPO / "Cargo.toml").read_text(), re.MULTILINE)[1]
    check("the action takes the release of its own sources", f"/download/v{version}/SHA256SUMS" in Release.asked, str(Release.asked))
    check("the action's steps end well", all(d.returncode == 0 for d in said), "\n".join(d.stdout + d.stderr for d in said))
    outputs = job.outputs()
    root = json.loads((layout / "index.json").read_text())["manifests"][0]["digest"]
    check("its output is the digest of index.json's entry", outputs.get("digest") == root and outputs.get("digests") == [root], str(outputs))
    check("it says that the image loads lazily", outputs.get("lazy") == "true", str(outputs))
    report = json.loads(pathlib.Path(outputs["report"]).read_text())
    check("its report is the tool's", report["version"] == 1 and report["roots"][0]["after"] == root)
    summary = job.files["GITHUB_STEP_SUMMARY"].read_text()
    check("the job's summary has the table", "### SOCI index" in summary and "| lazily |" in summary, summary)
    check("the binary is on the PATH of later steps", pathlib.Path(job.files["GITHUB_PATH"].read_text().strip(), "soci-layout").is_file())
    check("the cache has entries", any((job.temp / "soci-layout/cache").iterdir()))

    with registry(folder) as host:
        image = f"{host}/app:v1"
        env = {"HOME": str(folder), "PATH": "/usr/bin:/bin"}
        pushed = run([f"{binaries}/buildx", "imagetools", "create", "--prefer-index=false", "-t", image, f"oci-layout://{layout}:v1"], env)
        check("buildx imagetools pushes the layout", pushed.returncode == 0, pushed.stderr)
        digest = run([f"{binaries}/crane", "digest", "--insecure", image]).stdout.strip()
        check("the tag has the action's digest", digest == root, digest)
        index = json.loads(run([f"{binaries}/crane", "manifest", "--insecure", image]).stdout)
        manifest = json.loads(run([f"{binaries}/crane", "manifest", "--insecure", f"{host}/app@{index['manifests'][0]['digest']}"]).stdout)
        soci = manifest["annotations"]["com.amazon.soci.index-digest"]
        found = json.loads(run([f"{binaries}/crane", "manifest", "--insecure", f"{host}/app@{soci}"]).stdout)
        ztocs = [layer["digest"] for layer in found["layers"]]
        there = all(blob(host, d) == d for d in ztocs)
        check("the SOCI index is found through the image manifest, with its zTOCs", bool(ztocs) and there)

    eager = Job(folder / "eager", base, binaries)
    zstd = folder / "zstd-mixed"
    shutil.copytree(REPO / "testdata/layouts/zstd-mixed", zstd)
    said = eager.run({"layout": str(zstd), "min-layer-size": "0"})
    annotations = [line for done in said for line in done.stdout.splitlines() if line.startswith("::warning")]
    check("layers that stay eager are annotations", sum("zstd" in line for line in annotations) == 2, "\n".join(d.stderr for d in said))

    gate = Job(folder / "gate", base, binaries)
    said = gate.run({"layout": str(zstd), "min-layer-size": "0", "min-lazy": "99%"})
    check("less than min-lazy fails the job at the end, with its outputs",
          said[-1].returncode == 3 and "--min-lazy 99%" in said[-1].stderr and gate.outputs().get("lazy") == "true", said[-1].stderr)

    none = Job(folder / "none-there", "http://127.0.0.1:1", binaries)
    cargo = none.folder / "bin"
    cargo.mkdir()
    installed = pathlib.Path(job.files["GITHUB_PATH"].read_text().strip(), "soci-layout")
    # The build itself is what `cargo install` does; here it is only seen that the step asks for it.
    (cargo / "cargo").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/asked"\nwhile [ "$1" != --root ]; do shift; done\ncp "{installed}" "$2/bin/"\n')
    (cargo / "cargo").chmod(0o755)
    none.path = f"{cargo}:{none.path}"
    said = none.run({"layout": str(layout)})
    asked = (none.folder / "asked").read_text().split("\n") if (none.folder / "asked").exists() else []
    check("without a release the action builds from its own sources, with a warning",
          str(REPO) in asked and "--locked" in asked and "::warning" in said[0].stdout and said[-1].returncode == 0, "\n".join(d.stderr for d in said))

    wrong = Job(folder / "wrong", base, binaries)
    said = wrong.run({"layout": str(folder / "missing")})
    check("a layout that is not there fails the job", said[-1].returncode != 0 and "missing" in said[-1].stderr, said[-1].stderr)


def pages(folder, binary, binaries, builder):
    """What the pages show: shell lines are run, YAML is read by what will read it."""
    readme = (REPO / "README.md").read_text()
    with registry(folder) as host:
        place = folder / "readme"
        source(place)
        script = next(b for b in blocks("README.md", "sh") if "imagetools" in b)
        done = shell(script.replace("example.com", host), place, binary, binaries, builder)
        pushed = run([f"{binaries}/crane", "digest", "--insecure", f"{host}/app:v1"]).stdout
        check("README's lines build, index and push", done.returncode == 0 and pushed.strip() == done.stdout.split()[0], done.stderr)
        pipe = re.search(r"`(docker buildx build [^`]*\| soci-layout index - [^`]*)`", readme)[1]
        source(folder / "pipe")
        done = shell(pipe, folder / "pipe", binary, binaries, builder)
        check("README's pipe builds and indexes", done.returncode == 0 and (folder / "pipe/oci-dir/index.json").is_file(), done.stderr)

        alternatives = re.findall(r"^\| (?:soci-layout|crane|oras|regctl) \| `([^`]*)`", readme, re.MULTILINE)
        check("README names four other ways", len(alternatives) == 4)
        for line in alternatives:
            name = line.split()[0]
            # They do not take loopback for a registry without TLS by themselves, unlike a release's user with ECR.
            plain = {"oras": "oras cp --to-plain-http", "crane": "crane push --insecure"}.get(name)
            if plain:
                line = plain + line[len(" ".join(line.split()[:2])):]
            elif name == "regctl":
                config = json.dumps({"hosts": {host: {"tls": "disabled", "hostname": host}}})
                (place / ".regctl").mkdir()
                (place / ".regctl/config.json").write_text(config)
            done = shell(line.replace("example.com/app", f"{host}/{name}"), place, binary, binaries)
            found = run([f"{binaries}/crane", "digest", "--insecure", f"{host}/{name}:v1"]).stdout
            check(f"README's line with {name} pushes the same digest", done.returncode == 0 and found == pushed, done.stderr)

        line = re.search(r"`(soci-layout index example.com/app:v1 --to [^`]*)`", readme)[1].replace("example.com/app", f"{host}/plain")
        source(folder / "plain")
        done = shell(f"docker buildx build --push -t {host}/plain:v1 .\n{line}", folder / "plain", binary, binaries, builder)
        check("README's line indexes an image in a registry", done.returncode == 0, done.stderr)
        check("and what has the new tag is indexed", recipes.indexed(binaries, f"{host}/plain:v1-soci") == ["amd64"])

        place = folder / "shell"
        exported(place, binaries, builder)
        done = shell(blocks("docs/recipes/shell.md", "sh")[0], place, binary, binaries, {"IMAGE": f"{host}/shell", **builder})
        check("the shell recipe indexes, verifies, pushes and compares", done.returncode == 0, done.stderr)

    declared, _ = steps()
    flows = []
    for page in ("github-actions", "matrix", "fargate", "docker-build-workflow"):
        for number, block in enumerate(blocks(f"docs/recipes/{page}.md", "yaml")):
            flows.append(folder / f"{page}-{number}.yml")
            flows[-1].write_text(block)
            jobs = yaml.safe_load(block)["jobs"].values()
            for used in (s["with"] for job in jobs for s in job.get("steps", []) if "soci-layout@" in s.get("uses", "")):
                check(f"{page} gives the action inputs that it has", set(used) <= set(declared["inputs"]))
    done = run([f"{binaries}/actionlint", "-no-color", *flows, *sorted((REPO / ".github/workflows").glob("*.yml"))], cwd=REPO)
    check("actionlint finds nothing in the workflows and the recipes", done.returncode == 0, done.stdout)
    page = (REPO / "docs/recipes/github-actions.md").read_text()
    check("the page names every input and output", all(f"`{n}`" in page for n in [*declared["inputs"], *declared["outputs"]] if n != "output"))
    entry = yaml.safe_load(blocks("docs/recipes/install.md", "yaml")[0])["packages"][0]
    names = {entry["replacements"][arch] + "-" + entry["replacements"][system] for arch in ("amd64", "arm64") for system in ("linux", "darwin")}
    script = (REPO / ".github/packaging/dist.sh").read_text()
    check("the entry for aqua names the targets of a release", all(n in script for n in names) and entry["checksum"]["asset"] == "SHA256SUMS")


def main():
    dist, binaries = (pathlib.Path(p).resolve() for p in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        release.archives(dist)
        release.metadata(dist)
        with served(dist) as base, buildkit(folder, binaries) as builder:
            binary = installs(base, dist, folder)
            release.current(dist, binary, folder)
            action(base, folder, binaries, builder)
            for part in ("pages", "recipes"):
                (folder / part).mkdir()
            pages(folder / "pages", binary, binaries, builder)
            recipes.all_of_them(folder / "recipes", base, binaries, builder)
        (folder / "schemas").mkdir()
        for name, (reports, wrong) in sorted(schemas.against_schemas(binary, folder / "schemas").items()):
            check(f"{reports} reports are as docs/schemas/{name}.schema.json says", reports > 0 and not wrong, "\n".join(sorted(wrong)[:20]))
    print(f"{common.PASSED} passed, {len(FAILED)} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
