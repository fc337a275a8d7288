#!/usr/bin/env bash
# Makes the layouts of testdata/foreign with the tools of other projects, or checks that they can be made.
#
#   tests/foreign/make.sh OUT     into the new directory OUT (make foreign); the committed ones are such a result
#
# Needs tests/setup.sh and tests/foreign/tools.sh first. Everything stays on loopback. Times and random
# identifiers of some tools differ from run to run, so a result has the same shape, not the same bytes.
set -euo pipefail

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PATH=$repo/.work/foreign/bin:$repo/.work/bin:$PATH
out=$1
mkdir "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
export HOME=$work/home REGISTRY_AUTH_FILE=$work/home/auth.json SOURCE_DATE_EPOCH=1700000000
mkdir "$work/home"
printf '{}' >"$REGISTRY_AUTH_FILE"
end() {
  [ -z "${registry:-}" ] || kill "$registry"
  rm -rf "$work"
}
trap end EXIT
say() { printf 'foreign: %s\n' "$*"; }
cd "$work"

# The content: a text of 24 KB that compresses well, a link, an empty file.
files() {
  mkdir -p "$1/etc" "$1/usr/share"
  seq -f "$2 line %g" 1500 >"$1/usr/share/text"
  ln -s ../usr/share/text "$1/etc/link"
  : >"$1/etc/empty"
}
pack() { tar -C "$1" --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -cf "$2" .; }
files root-a base && pack root-a a.tar && gzip -nk9 a.tar
mkdir -p root-b && printf 'second\n' >root-b/second && pack root-b b.tar && gzip -nk9 b.tar

# A registry on a port that the system chooses.
crane registry serve --address 127.0.0.1:0 >registry.log 2>&1 &
registry=$!
for _ in $(seq 100); do
  host=$(sed -n 's/.*serving on port \([0-9]*\).*/127.0.0.1:\1/p' registry.log)
  [ -n "$host" ] && break
  sleep 0.1
done
[ -n "$host" ] || { cat registry.log; exit 1; }
reg() { regctl --host "reg=$host,tls=disabled" "$@"; }

say umoci
umoci init --layout umoci
umoci new --image umoci:v1
umoci insert --rootless --image umoci:v1 root-a /
umoci insert --rootless --image umoci:v1 root-b/second /second
umoci gc --layout umoci
cp -r umoci "$out/umoci"

say crane
# Without a base the configuration names neither system nor architecture.
crane append --insecure -f a.tar.gz -f b.tar.gz -t "$host/nobase:v1" >/dev/null 2>&1
crane pull --insecure --format oci "$host/nobase:v1" "$out/crane-append-no-platform"
for platform in amd64 arm64; do
  crane mutate --insecure --set-platform "linux/$platform" -t "$host/multi:$platform" "$host/nobase:v1" >/dev/null
done
crane index append --insecure -m "$host/multi:amd64" -m "$host/multi:arm64" -t "$host/multi:v1" >/dev/null 2>&1
crane pull --insecure --format oci "$host/multi:v1" "$out/crane-pull-index"
crane pull --insecure --format oci --annotate-ref "$host/multi:amd64" "$out/crane-pull"

say go-containerregistry
# As apko, ko and rules_img do: index.json itself is the image for several platforms.
(cd "$repo/tests/peer" && go run ./cmd/rootindex "$out/crane-pull-index" "$out/root-index")

say skopeo
skopeo() { command skopeo --insecure-policy "$@" >/dev/null; }
skopeo copy "oci:$out/umoci:v1" "oci:$out/skopeo-docker-types:app" --format v2s2
skopeo copy "oci:$out/umoci:v1" "dir:$out/skopeo-dir"
skopeo copy --dest-oci-accept-uncompressed-layers "dir:$out/skopeo-dir" "oci:$out/skopeo-oci:app:v1"

say regctl
reg image copy "ocidir://$out/umoci:v1" "ocidir://$out/regctl-two-types:oci"
reg image mod --to-docker "ocidir://$out/regctl-two-types:oci" --create docker >/dev/null
reg index create --ref "ocidir://$out/umoci:v1" --platform linux/amd64 "ocidir://$out/regctl-index-of-one:v1" >/dev/null
reg image copy "$host/multi:v1" "ocidir://$out/regctl:v1"
printf '{"spdxVersion":"SPDX-2.3"}' >sbom.json
reg image copy "$host/multi:v1" "ocidir://$out/regctl-artifact:v1"
reg artifact put --subject "ocidir://$out/regctl-artifact:v1" --platform linux/amd64 \
  --artifact-type application/spdx+json -f sbom.json >/dev/null

say oras
oras cp --to-oci-layout --from-plain-http "$host/multi:v1" "$out/oras:v1" >/dev/null
cp -r "$out/umoci" "$out/oras-attach"
oras attach --oci-layout "$out/oras-attach:v1" --artifact-type application/spdx+json sbom.json:application/spdx+json \
  --annotation org.opencontainers.image.created=2023-11-14T22:13:20Z >/dev/null

say buildah and podman
store=(--root "$work/store" --runroot "$work/run" --storage-driver vfs)
container=$(buildah "${store[@]}" from --arch amd64 scratch)
buildah "${store[@]}" copy -q "$container" root-a / >/dev/null
buildah "${store[@]}" config --cmd /etc/link "$container"
buildah "${store[@]}" commit -q --timestamp 1700000000 "$container" app:v1 >/dev/null
buildah "${store[@]}" push -q app:v1 "oci:$out/buildah:v1"
buildah "${store[@]}" manifest create list >/dev/null
buildah "${store[@]}" manifest add list app:v1 >/dev/null
buildah "${store[@]}" manifest push -q --all list "oci:$out/buildah-manifest:v1" >/dev/null
podman "${store[@]}" save -q --format oci-archive -o podman.tar app:v1
mkdir "$out/podman-oci-archive" && tar -xf podman.tar -C "$out/podman-oci-archive"
podman "${store[@]}" save -q --format docker-dir -o "$out/podman-docker-dir" app:v1 >/dev/null

say jib
java -cp "$repo/.work/foreign/jib/lib/*" "$repo/tests/foreign/Jib.java" make "$host/jib:v1" root-a
crane pull --insecure --format oci "$host/jib:v1" "$out/jib"

# Their makers do not run here.
cp -r "$repo"/testdata/foreign/{apko,cosign-save,rules-img} "$out"
chmod -R u+w "$out"
say "done: $(find "$out" -mindepth 1 -maxdepth 1 | wc -l) layouts"
