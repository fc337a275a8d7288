#!/usr/bin/env bash
# Installs the tools of other projects that `make foreign` needs, beside those of tests/setup.sh:
# podman and buildah from apt, Go programs from the module proxy, jib-core from Maven Central.
# apko, kaniko and Bazel's rules are not Go modules that the proxy builds; ko writes what tests/peer/cmd/rootindex does.
set -euo pipefail

UMOCI=github.com/opencontainers/umoci/cmd/umoci@v0.6.0
JIB=com.google.cloud.tools:jib-core:0.27.3

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=$here/../../.work/foreign
mkdir -p "$dir/bin"
dir=$(cd "$dir" && pwd)

want=()
for package in podman buildah crun maven; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || want+=("$package")
done
command -v mvn >/dev/null && want=("${want[@]/maven/}")
want=($(printf '%s\n' "${want[@]}"))
if [ ${#want[@]} -gt 0 ]; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${want[@]}" >/dev/null
fi

# Built as a dependency: `go install` refuses modules that replace others.
for tool in "$UMOCI"; do
  package=${tool%@*} name=$(basename "${tool%@*}")
  [ -x "$dir/bin/$name" ] && continue
  echo "foreign: building $tool"
  build=$(mktemp -d)
  (cd "$build" && go mod init tools >/dev/null 2>&1 && go get "$tool" && go build -o "$dir/bin/$name" "$package")
  rm -rf "$build"
done

if [ ! -e "$dir/jib/lib" ]; then
  echo "foreign: fetching $JIB"
  mkdir -p "$dir/jib"
  IFS=: read -r group artifact version <<<"$JIB"
  cat >"$dir/jib/pom.xml" <<POM
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>test</groupId><artifactId>tools</artifactId><version>1</version>
  <dependencies><dependency>
    <groupId>$group</groupId><artifactId>$artifact</artifactId><version>$version</version>
  </dependency></dependencies>
</project>
POM
  (cd "$dir/jib" && mvn -q -B dependency:copy-dependencies -DoutputDirectory=new && mv new lib)
fi
