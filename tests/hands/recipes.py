"""The pages of docs/recipes, run as they stand there, against a registry on loopback.

There is no BuildKit here: where a recipe builds, a `docker` stands in that puts an export where `--output` says,
after the real buildx has read the options (`bake --print`). All that comes after it is real: install.sh from a
served release, the indexing, the push by buildx imagetools, the look-up of the index in the registry.
"""

import hashlib
import json
import os
import shutil
import sys
import urllib.request

import yaml
from common import blocks, check, layouts, registry, run

# Bash, as in CodeBuild's `env: shell: bash` and GitHub's `run:`.
DOCKER = """#!/usr/bin/env bash
set -euo pipefail
export() { # OUTPUT NAME
  [[ ,$1, == *,type=oci,* && ,$1, == *,tar=false,* ]] || { echo "no layout directory: $1" >&2; exit 1; }
  local dest=${1##*dest=}
  cp -r "$MADE" "${dest%%,*}"
  jq -c --arg tag "${2##*:}" '.manifests[0].annotations["org.opencontainers.image.ref.name"] = $tag' "$MADE/index.json" > "${dest%%,*}/index.json"
}
case "$1 ${2:-}" in
  "login "*) cat > /dev/null ;;
  "buildx create") ;;
  "buildx build")
    shift 2
    while [ $# -gt 1 ]; do
      case $1 in --output) output=$2 ;; --tag) name=$2 ;; *) echo "unknown option $1" >&2; exit 1 ;; esac
      shift 2
    done
    export "$output" "$name" ;;
  "buildx bake")
    shift 2
    plan=$("$BUILDX" bake --print "$@" 2>/dev/null)
    output=$(jq -r '.target.default.output[0] | to_entries | map("\\(.key)=\\(.value)") | join(",")' <<< "$plan")
    export "$output" "$(jq -r '.target.default.tags[0]' <<< "$plan")" ;;
  "buildx imagetools") shift; exec "$BUILDX" "$@" ;;
  *) echo "no such command here: $*" >&2; exit 1 ;;
esac
"""


class Place:
    """A checkout with a Dockerfile, and what a job finds on its path."""

    def __init__(self, folder, made, binaries, more):
        self.folder = folder
        (folder / "bin").mkdir(parents=True)
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
        self.tool("docker", DOCKER)
        # What a job's image has, and what is not tried here.
        self.tool("apk", "#!/bin/sh\n")
        self.tool("aws", "#!/bin/sh\necho password\n")
        path = f"{folder}/bin:{folder}/home/.local/bin:/usr/local/bin:/usr/bin:/bin"
        self.env = {"HOME": str(folder / "home"), "PATH": path, "MADE": str(made), "BUILDX": f"{binaries}/buildx", **more}
        (folder / "home").mkdir()

    def tool(self, name, text):
        (self.folder / "bin" / name).write_text(text)
        (self.folder / "bin" / name).chmod(0o755)

    def bash(self, lines):
        return run(["bash", "-euo", "pipefail", "-c", "\n".join(lines)], self.env, self.folder)


def blob(repository, digest):
    host, name = repository.split("/", 1)
    with urllib.request.urlopen(f"http://{host}/v2/{name}/blobs/{digest}", timeout=60) as answer:
        return "sha256:" + hashlib.sha256(answer.read()).hexdigest()


def indexed(binaries, image):
    """Platforms of a pushed image whose SOCI index is found through the manifest, with all its zTOCs."""

    def manifest(reference):
        return json.loads(run([f"{binaries}/crane", "manifest", "--insecure", reference]).stdout)

    repository = image.rsplit(":", 1)[0]
    index = manifest(image)
    found = []
    for child in index["manifests"]:
        if "artifactType" in child:
            continue
        soci = manifest(f"{repository}@{child['digest']}").get("annotations", {}).get("com.amazon.soci.index-digest")
        if not soci or soci not in [other["digest"] for other in index["manifests"]]:
            continue
        ztocs = manifest(f"{repository}@{soci}")["layers"]
        if ztocs and all(blob(repository, ztoc["digest"]) == ztoc["digest"] for ztoc in ztocs):
            found.append(child["platform"]["architecture"])
    return sorted(found)


def page(name, language):
    return blocks(f"docs/recipes/{name}.md", language)


def from_here(lines, base):
    """The line that installs a release, from the one that is served."""
    return [line.replace("https://github.com/OWNER/soci-layout/releases", base) for line in lines]


def gitlab(place, base, host, binaries):
    text = page("gitlab-ci", "yaml")[0]
    file = place.folder / ".gitlab-ci.yml"
    file.write_text(text)
    tools = {**os.environ, "PYTHONPATH": str(binaries.parent / "check-jsonschema")}
    done = run([sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.gitlab-ci", file], tools)
    check("GitLab's schema takes the recipe", done.returncode == 0, done.stdout + done.stderr)
    job = yaml.safe_load(text)["build-image"]
    image = f"{host}/gitlab"
    place.env.update(CI_REGISTRY=host, CI_REGISTRY_IMAGE=image, CI_REGISTRY_USER="me", CI_REGISTRY_PASSWORD="secret", CI_COMMIT_SHORT_SHA="abc123")
    place.env["TAG"] = job["variables"]["TAG"].replace("$CI_COMMIT_SHORT_SHA", "abc123")
    done = place.bash(from_here(job["before_script"] + job["script"], base))
    check("GitLab's job installs, indexes and pushes", done.returncode == 0, done.stdout + done.stderr)
    check("what it pushed is indexed", indexed(binaries, f"{image}:abc123") == ["amd64", "arm64"])
    check("its cache has zTOCs", any(file.is_file() for file in (place.folder / job["cache"]["paths"][0]).rglob("*")))


def codebuild(place, base, host, binaries):
    spec = yaml.safe_load(page("codebuild", "yaml")[0])
    check("the buildspec has CodeBuild's version and phases", spec["version"] == 0.2 and list(spec["phases"]) == ["install", "pre_build", "build"])
    place.env.update(IMAGE=f"{host}/codebuild", CODEBUILD_RESOLVED_SOURCE_VERSION="0123456789abcdef")
    # In version 0.2 all commands run in one shell.
    lines = [line for phase in spec["phases"].values() for line in phase["commands"]]
    done = place.bash(from_here(lines, base))
    check("CodeBuild's phases install, index and push", done.returncode == 0, done.stdout + done.stderr)
    check("what they pushed is indexed", indexed(binaries, f"{host}/codebuild:0123456789ab") == ["amd64", "arm64"])


def bake(place, host, binaries):
    (place.folder / "docker-bake.hcl").write_text(page("bake", "hcl")[0])
    place.env.update(IMAGE=f"{host}/bake", TAG="v7")
    done = run([f"{binaries}/buildx", "bake", "--print"], place.env, place.folder)
    target = json.loads(done.stdout)["target"]["default"] if done.returncode == 0 else {}
    check("bake reads the file", target.get("tags") == [f"{host}/bake:v7"] and target["output"][0]["force-compression"] == "true", done.stderr)
    done = place.bash(page("bake", "sh"))
    check("bake's lines index and push", done.returncode == 0, done.stderr)
    check("what bake's lines pushed is indexed", indexed(binaries, f"{host}/bake:v7") == ["amd64", "arm64"])


def makefile(place, host, binaries):
    (place.folder / "Makefile").write_text(page("makefile", "make")[0])
    done = run(["make", f"IMAGE={host}/make"], place.env, place.folder)
    check("make indexes and pushes", done.returncode == 0, done.stdout + done.stderr)
    check("what make pushed is indexed", indexed(binaries, f"{host}/make:v1") == ["amd64", "arm64"])
    again = run(["make", f"IMAGE={host}/make"], place.env, place.folder)
    check("a second make builds nothing anew", again.returncode == 0 and "buildx build" not in again.stdout, again.stdout)


def single(made, folder, architecture):
    """One image of a layout of two, as a job of a matrix exports it."""
    shutil.copytree(made, folder)
    root = json.loads((folder / "index.json").read_text())["manifests"][0]
    index = json.loads((folder / "blobs/sha256" / root["digest"].split(":")[1]).read_text())
    image = next(child for child in index["manifests"] if child["platform"]["architecture"] == architecture)
    image["annotations"] = {"org.opencontainers.image.ref.name": f"v1-{architecture}"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [image]}))


def matrix(place, made, host, binaries):
    jobs = yaml.safe_load(page("matrix", "yaml")[0])["jobs"]
    push = next(step for step in jobs["build"]["steps"] if step.get("name") == "Push")
    merge = next(step for step in jobs["merge"]["steps"] if step.get("name") == "Merge")
    place.env["IMAGE"] = f"{host}/matrix"
    for entry in jobs["build"]["strategy"]["matrix"]["include"]:
        single(made, place.folder / "oci-dir", entry["arch"])
        # What the action does.
        done = place.bash(["soci-layout index --quiet oci-dir", f"ARCH={entry['arch']}", push["run"]])
        check(f"the matrix's job for {entry['arch']} indexes and pushes", done.returncode == 0, done.stderr)
        shutil.rmtree(place.folder / "oci-dir")
    done = place.bash([merge["run"]])
    check("the last job merges them", done.returncode == 0, done.stderr)
    check("the merged image has both indexes", indexed(binaries, f"{host}/matrix:v1") == ["amd64", "arm64"])


def all_of_them(folder, base, binaries):
    made = layouts(folder)
    with registry(folder) as host:
        def place(name):
            return Place(folder / name, made, binaries, {"SOCI_LAYOUT_BASE": base})

        here = place("gitlab")
        gitlab(here, base, host, binaries)
        installed = here.folder / "home/.local/bin/soci-layout"
        codebuild(place("codebuild"), base, host, binaries)
        for run_page in (bake, makefile):
            there = place(run_page.__name__)
            shutil.copy(installed, there.folder / "bin")
            run_page(there, host, binaries)
        there = place("matrix")
        shutil.copy(installed, there.folder / "bin")
        matrix(there, made, host, binaries)
