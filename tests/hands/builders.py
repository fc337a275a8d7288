"""docs/recipes/builders.md: each builder's lines, run as they stand there.

With the builder itself where it is installed (`tests/setup.sh hands`). Who cannot be had is played by a program that leaves
a layout of the form that the builder writes, made of what BuildKit exports.
"""

import json
import os
import re
import shutil

from common import REPO, check, run

# What the builders' stand-ins do with an export of BuildKit in `made`.
PLAYED = {
    # go-containerregistry's AppendImage: one image, no name.
    "executor": """
index=made/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' made/index.json)
cp -r made oci-dir
jq '{schemaVersion, manifests: [.manifests[0] | {mediaType, digest, size}]}' "$index" > oci-dir/index.json""",
    # go-containerregistry's layout.Write: index.json is the index of the image.
    "apko": """
test -d oci-dir
index=made/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' made/index.json)
cp -r made/. oci-dir && rm "oci-dir/${index#made/}" && cp "$index" oci-dir/index.json""",
    # rules_oci: links to files that cannot be written.
    "bazel": """
mkdir -p bazel-bin/image/blobs/sha256
(cd made && find . -type f) | while read -r file; do ln -s "$PWD/made/$file" "bazel-bin/image/$file"; done
chmod -R a-w made""",
}

MAIN = """package main

import (
\t_ "embed"
\t"os"
)

//go:embed data/0.bin
var data []byte

func main() { os.Stdout.Write(data) }
"""

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId><artifactId>app</artifactId><version>1</version>
  <properties>
    <maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <jib.from.image>scratch</jib.from.image><jib.allowInsecureRegistries>true</jib.allowInsecureRegistries>
  </properties>
</project>
"""


def section(name):
    """The lines of a builder."""
    page = (REPO / "docs/recipes/builders.md").read_text()
    return re.search(rf"^## {name}\n.*?^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[1]


def ready(name, place, host, binaries):
    """What the builder's project consists of, beyond what is there."""
    folder = place.folder
    if name in ("podman", "buildah"):
        storage = folder / "storage.conf"
        storage.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/storage-run"\n')
        place.env.update(CONTAINERS_STORAGE_CONF=str(storage), TMPDIR=str(folder))
    elif name == "ko":
        (folder / "main.go").write_text(MAIN)
        # One file of random bytes, which is worth a zTOC.
        (folder / "data/0.bin").write_bytes(os.urandom(24 << 20))
        (folder / "go.mod").write_text("module example.test/app\n\ngo 1.24\n")
        base = f"{host}/base:v1"
        done = place.bash([f'docker buildx build --platform linux/amd64,linux/arm64 --push -t {base} .'])
        assert done.returncode == 0, done.stderr
        place.env.update(KO_DEFAULTBASEIMAGE=base, GOFLAGS="-mod=mod", GOCACHE=run(["go", "env", "GOCACHE"]).stdout.strip())
        place.env["PATH"] += f":{os.path.dirname(shutil.which('go') or '/usr/local/go/bin/go')}"
    elif name == "Jib":
        (folder / "pom.xml").write_text(POM)
        shutil.move(folder / "data", folder / "src/main/resources/data")
        (folder / "src/main/java").mkdir()
        (folder / "src/main/java/App.java").write_text("class App { public static void main(String[] args) {} }\n")
        place.env["JAVA_TOOL_OPTIONS"] = f"-Duser.home={os.path.expanduser('~')}"


def run_page(place, host, binaries):
    for name, tool in {"podman": "podman", "buildah": "buildah", "ko": "ko", "Jib": "mvn", "umoci": "umoci",
                       "kaniko": "executor", "apko": "apko", "Bazel": "bazel"}.items():
        here = place(f"builder-{name.lower()}")
        here.env["PATH"] += f":{binaries}"
        if tool in PLAYED:
            done = here.bash(["docker buildx build --platform linux/amd64,linux/arm64 --provenance=false -o type=oci,tar=false,dest=made ."])
            assert done.returncode == 0, done.stderr
            here.tool(tool, f"#!/bin/sh\nset -eu\n{PLAYED[tool]}\n")
        elif not shutil.which(tool, path=here.env["PATH"]):
            print(f"left out: {name} is not installed (tests/setup.sh hands)", flush=True)
            continue
        ready(name, here, host, binaries)
        image = f"{host}/{name.lower()}"
        done = here.bash([section(name).replace("example.com/app", image)])
        check(f"the lines for {name} build, index and push", done.returncode == 0, done.stdout + done.stderr)
        done = here.bash([f"soci-layout check --for fargate {image}:v1"])
        check(f"what they pushed loads lazily ({name})", done.returncode == 0, done.stdout + done.stderr)
