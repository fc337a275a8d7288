"""A CycloneDX 1.5 bill of materials of the binary. Reads `cargo metadata`; argument: seconds since 1970."""

import datetime
import json
import sys

from crates import linked


def component(package, kind):
    purl = f"pkg:cargo/{package['name']}@{package['version']}"
    made = {"type": kind, "bom-ref": purl, "name": package["name"], "version": package["version"], "purl": purl}
    if package["license"]:
        # Old manifests write A/B for A OR B.
        made["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    return made


def main():
    root, packages = linked()
    time = datetime.datetime.fromtimestamp(int(sys.argv[1]), datetime.timezone.utc)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": component(root, "application"),
        },
        "components": [component(package, "library") for package in packages],
    }
    json.dump(document, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    sys.exit(main())
