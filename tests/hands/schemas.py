"""Real reports held against docs/schemas, on every fixture: each is valid, and every member that is there is described."""

import itertools
import json
import pathlib
import re
import shutil
import subprocess
import threading

import jsonschema

REPO = pathlib.Path(__file__).resolve().parents[2]


def undescribed(value, schema, root, at=""):
    """Members of `value` that nothing in the schema names."""
    nodes, todo = [], [schema]
    while todo:
        node = todo.pop()
        if "$ref" in node:
            todo.append(root["$defs"][node["$ref"].rsplit("/", 1)[1]])
            continue
        nodes.append(node)
        for key in ("allOf", "anyOf", "oneOf"):
            todo += node.get(key, [])
    if isinstance(value, list):
        items = [n["items"] for n in nodes if "items" in n]
        return [m for i, v in enumerate(value) for m in undescribed(v, {"anyOf": items}, root, f"{at}[{i}]")]
    if not isinstance(value, dict):
        return []
    if any(isinstance(n.get("additionalProperties"), dict) for n in nodes):
        return []
    found = []
    for name, inner in value.items():
        named = [n["properties"][name] for n in nodes if name in n.get("properties", {})]
        found += undescribed(inner, {"anyOf": named}, root, f"{at}.{name}") if named else [f"{at}.{name}"]
    return found


def problems(name, report):
    schema = json.loads((REPO / f"docs/schemas/{name}.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    errors = [f"{e.json_path}: {e.message[:200]}" for e in jsonschema.Draft202012Validator(schema).iter_errors(report)]
    return errors + [f"no description of {m}" for m in undescribed(report, schema, schema)]


def runs(binary, folder):
    """Yields the name of a schema and a report, over all fixtures and ways to index them."""

    def report(*command):
        done = subprocess.run([binary, *command, "--json"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            raise AssertionError(f"{command}: {done.stderr}") from None

    small = ["--min-layer-size", "0", "--span-size", "64KiB", "-q"]
    cache = folder / "cache"
    ahead = ["--prefetch-file", "**", "--prefetch-file", "/no-such-file", "--prefetch-max-time", "1s", "--link", "1GB,1ms"]
    for fixture in sorted(p for p in (REPO / "testdata/layouts").iterdir() if p.is_dir()):
        layout, plain = folder / fixture.name, folder / "plain" / fixture.name
        shutil.copytree(fixture, layout)
        shutil.copytree(fixture, plain)
        yield "plan", report("plan", *small, *ahead, layout)
        yield "index", report("index", "--dry-run", *small, layout)
        yield "index", report("index", "--cache-dir", cache, "--index-version", "both", *small, *ahead, layout)
        yield "index", report("index", *small, layout)
        yield "inspect", report("inspect", "--link", "12.5MB,10ms", layout)
        yield "inspect", report("inspect", plain)
        yield "doctor", report("doctor", layout)
        yield "doctor", report("doctor", "--for", "fargate", "--min-layer-size", "0", plain)
        yield "diff", report("diff", plain, layout)
        yield "verify", report("verify", layout)
        verified = report("verify", plain)
        yield "verify", verified
        yield "remove", report("remove", layout)
        platform = verified["images"][0]["platform"]
        ref = [part for image in verified["images"][:1] for name in image["names"][:1] for part in ("--ref", name)]
        yield "ls", report("ls", "-R", *ref, "--platform", platform, plain, "/", "/no-such-file")
        yield "ls", report("ls", "-R", "--layer", "1", *ref, "--platform", platform, plain)
        blob = max((layout / "blobs/sha256").iterdir(), key=lambda p: p.stat().st_size)
        blob.chmod(0o644)
        blob.write_bytes(b"x" + blob.read_bytes()[1:])
        yield "inspect", report("inspect", layout)
        yield "doctor", report("doctor", layout)
        yield "verify", report("verify", layout)
        yield "gc", report("gc", "--min-age", "0", "--dry-run", plain)
    yield "cache-ls", report("cache", "ls", "--cache-dir", cache)
    next(cache.rglob("*.ztoc")).write_bytes(b"x")
    yield "cache-ls", report("cache", "ls", "--cache-dir", cache)
    yield "cache-verify", report("cache", "verify", "--cache-dir", cache)
    yield "cache-prune", report("cache", "prune", "--max-size", "0", "--cache-dir", cache)


def in_registry(binary, folder):
    """Reports of what talks to a registry: whole pushes, and one of which a zTOC is deleted."""
    config = folder / "registry.yml"
    config.write_text(
        "version: 0.1\nlog: {level: info, formatter: json}\nhttp: {addr: '127.0.0.1:0'}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}, delete: {{enabled: true}}}}\n"
    )
    server = subprocess.Popen(["docker-registry", "serve", config], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        host = None
        for line in server.stderr:
            if "listening on " in line:
                host = re.search(r"listening on ([0-9.]+:[0-9]+)", line).group(1)
                break
        threading.Thread(target=server.stderr.read, daemon=True).start()

        def report(*command):
            done = subprocess.run([binary, *command, "--json", "-q"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
            return json.loads(done.stdout)

        for version, more in (("v2", []), ("v1", ["--v1-shape", "tagged"])):
            layout, to = folder / f"pushed-{version}", f"{host}/app:{version}"
            shutil.copytree(REPO / "testdata/layouts/multi-attest", layout)
            yield "index", report("index", "--min-layer-size", "0", "--index-version", version, *more, layout)
            yield "push", report("push", layout, to) if version == "v2" else report("push", f"{layout}:v1", to)
            yield "check", report("check", to)
            yield "check", report("check", "--for", "fargate", to)
        fresh = folder / "pushed-fresh"
        shutil.copytree(REPO / "testdata/layouts/multi-attest", fresh)
        yield "index", report("index", "--min-layer-size", "0", "--cache-from", f"{host}/app:v2", fresh)
        bare = folder / "pushed-bare"
        shutil.copytree(REPO / "testdata/layouts/multi-attest", bare)
        report("push", bare, f"{host}/app:bare")
        yield "index", report("index", "--min-layer-size", "0", f"{host}/app:bare", "--to", f"{host}/app:there")
        yield "check", report("check", "--deep", f"{host}/app:there")
        yield "verify", report("verify", f"{host}/app:there")
        images = folder / "images"
        images.write_text(f"{host}/app:bare {host}/app:again\n{host}/app:none\n")
        done = subprocess.run([binary, "index", "--from-file", images, "-q"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        for line in done.stdout.splitlines():
            yield "index-list", json.loads(line)
        for link in (folder / "registry").glob("**/_layers/sha256/*"):
            shutil.rmtree(link)
        yield "check", report("check", f"{host}/app:v2")
    finally:
        server.terminate()
        server.wait()


def against_schemas(binary, folder):
    """For each schema: how many reports, and what is wrong with them."""
    found = {p.name.removesuffix(".schema.json"): [0, set()] for p in (REPO / "docs/schemas").glob("*.json")}
    for name, report in itertools.chain(runs(binary, folder), in_registry(binary, folder)):
        found[name][0] += 1
        found[name][1].update(problems(name, report))
    return found
