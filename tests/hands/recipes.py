"""The pages of docs/recipes, run as they stand there: builds in a BuildKit, pushes to a registry on loopback.

install.sh takes a release that is served here. A job's image has tools that are not tried: apk, aws, `docker login`.
"""

import hashlib
import json
import os
import re
import shutil
import sys
import urllib.request

import builders
import yaml
from common import DOCKER, REPO, blocks, check, registry, run, source

class Place:
    """A checkout with a Dockerfile, and what a job finds on its path."""

    def __init__(self, folder, host, binary, more):
        self.folder = folder
        source(folder)
        (folder / "bin").mkdir()
        # skopeo asks a file which registries go without TLS.
        insecure = folder / "home/.config/containers/registries.conf"
        insecure.parent.mkdir(parents=True)
        insecure.write_text(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n')
        self.tool("docker", DOCKER)
        # What a job's image has, and what is not tried here.
        self.tool("apk", "#!/bin/sh\n")
        self.tool("aws", "#!/bin/sh\necho password\n")
        if binary:
            shutil.copy(binary, folder / "bin")
        path = f"{folder}/bin:{folder}/home/.local/bin:/usr/local/bin:/usr/bin:/bin"
        self.env = {"HOME": str(folder / "home"), "PATH": path, **more}

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
    repository = re.search(r'^repository = "(.*)"', (REPO / "Cargo.toml").read_text(), re.MULTILINE)[1]
    return [line.replace(f"{repository}/releases", base) for line in lines]


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
    check("what it pushed is indexed", indexed(binaries, f"{image}:abc123") == ["amd64"])
    check("its cache has zTOCs", any(file.is_file() for file in (place.folder / job["cache"]["paths"][0]).rglob("*")))


def codebuild(place, base, host, binaries):
    spec = yaml.safe_load(page("codebuild", "yaml")[0])
    check("the buildspec has CodeBuild's version and phases", spec["version"] == 0.2 and list(spec["phases"]) == ["install", "pre_build", "build"])
    place.env.update(IMAGE=f"{host}/codebuild", CODEBUILD_RESOLVED_SOURCE_VERSION="0123456789abcdef")
    # In version 0.2 all commands run in one shell.
    lines = [line for phase in spec["phases"].values() for line in phase["commands"]]
    done = place.bash(from_here(lines, base))
    check("CodeBuild's phases install, index and push", done.returncode == 0, done.stdout + done.stderr)
    check("what they pushed is indexed", indexed(binaries, f"{host}/codebuild:0123456789ab") == ["amd64"])


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
    check("what make pushed is indexed", indexed(binaries, f"{host}/make:v1") == ["amd64"])
    again = run(["make", f"IMAGE={host}/make"], place.env, place.folder)
    check("a second make builds nothing anew", again.returncode == 0 and "buildx build" not in again.stdout, again.stdout)


def built(options):
    """A line for what docker/build-push-action does with its inputs."""
    words = ["docker buildx build", "--output", options["outputs"], "--tag", options["tags"]]
    return " ".join([*words, "--platform", options["platforms"], "."])


def step(job, name):
    return next(s for s in job["steps"] if s.get("name") == name)["run"]


def uses(job, action):
    return next(s for s in job["steps"] if action in s.get("uses", ""))["with"]


def indexing(job):
    """What the action does with the inputs that a job gives it; run.py runs the action itself."""
    return f"soci-layout index --quiet --require-index {uses(job, 'soci-layout@')['layout']}"


def github(place, host, binaries):
    job = yaml.safe_load(page("github-actions", "yaml")[0])["jobs"]["image"]
    build = {k: v.replace("${{ env.IMAGE }}:${{ github.sha }}", "$IMAGE:$TAG") for k, v in uses(job, "build-push-action").items()}
    place.env.update(IMAGE=f"{host}/github", TAG="abc")
    done = place.bash([built(build), f"DIGEST=$({indexing(job)})", step(job, "Push"), step(job, "Deploy by digest")])
    check("GitHub's job builds, indexes, pushes and checks", done.returncode == 0, done.stdout + done.stderr)
    check("what it pushed is indexed", indexed(binaries, f"{host}/github:abc") == ["amd64", "arm64"])


def matrix(place, host, binaries):
    jobs = yaml.safe_load(page("matrix", "yaml")[0])["jobs"]
    place.env["IMAGE"] = f"{host}/matrix"
    for entry in jobs["build"]["strategy"]["matrix"]["include"]:
        build = {k: v.replace("${{ matrix.arch }}", "$ARCH").replace("${{ env.IMAGE }}", "$IMAGE")
                 for k, v in uses(jobs["build"], "build-push-action").items()}
        done = place.bash([f"ARCH={entry['arch']}", built(build), indexing(jobs["build"]), step(jobs["build"], "Push")])
        check(f"the matrix's job for {entry['arch']} builds, indexes and pushes", done.returncode == 0, done.stderr)
        shutil.rmtree(place.folder / "oci-dir")
    done = place.bash([step(jobs["merge"], "Merge")])
    check("the last job merges them", done.returncode == 0, done.stderr)
    check("the merged image has both indexes", indexed(binaries, f"{host}/matrix:v1") == ["amd64", "arm64"])


def fargate(place, host, binaries):
    before, after = (yaml.safe_load(text)["jobs"]["deploy"] for text in page("fargate", "yaml"))
    place.env.update(IMAGE=f"{host}/fargate", TAG="before")
    done = place.bash([step(before, "Build and push")])
    check("the workflow before pushes", done.returncode == 0, done.stderr)
    check("and what it pushed has no index", indexed(binaries, f"{host}/fargate:before") == [])
    place.env["TAG"] = "after"
    done = place.bash([step(after, "Build"), f"export DIGEST=$({indexing(after)})", step(after, "Push")])
    check("the workflow after builds, indexes, pushes and checks", done.returncode == 0, done.stdout + done.stderr)
    check("what it pushed is indexed", indexed(binaries, f"{host}/fargate:after") == ["arm64"])


def docker_workflow(place, host, binaries):
    """Docker's workflow is played by a push with provenance; it signs, which is not tried."""
    job = yaml.safe_load(page("docker-build-workflow", "yaml")[0])["jobs"]["index"]
    place.env.update(IMAGE=f"{host}/reusable", TAG="v1", BUILDX_METADATA_PROVENANCE="disabled")
    done = place.bash(['docker buildx build --platform linux/amd64,linux/arm64 --provenance mode=max --push -t "$IMAGE:v1-plain" .'])
    check("an image is pushed with provenance", done.returncode == 0, done.stderr)
    digest = run([f"{binaries}/crane", "digest", "--insecure", f"{host}/reusable:v1-plain"]).stdout.strip()
    done = place.bash([f"export DIGEST={digest}", step(job, "Fetch"), f"export DIGEST=$({indexing(job)})", step(job, "Push")])
    check("the job after it fetches, indexes, pushes and checks", done.returncode == 0, done.stdout + done.stderr)
    check("what it pushed is indexed", indexed(binaries, f"{host}/reusable:v1") == ["amd64", "arm64"])
    manifest = run([f"{binaries}/crane", "manifest", "--insecure", f"{host}/reusable:v1"]).stdout
    check("the provenance came along", manifest.count("attestation-manifest") == 2, manifest)


def all_of_them(folder, base, binaries, builder):
    with registry(folder) as host:
        binary = None

        def place(name):
            return Place(folder / name, host, binary, {"SOCI_LAYOUT_BASE": base, **builder})

        here = place("gitlab")
        gitlab(here, base, host, binaries)
        codebuild(place("codebuild"), base, host, binaries)
        binary = here.folder / "home/.local/bin/soci-layout"
        for run_page in (bake, makefile, github, matrix, fargate, docker_workflow):
            run_page(place(run_page.__name__), host, binaries)
        builders.run_page(place, host, binaries)
