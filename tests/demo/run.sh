#!/usr/bin/env bash
# The main job on real input, and what it made. Usage: run.sh PATH-OF-soci-layout
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
blob() { echo "oci-dir/blobs/sha256/${1#sha256:}"; }

echo "== an OCI image layout of this machine's own files"
"$here/make-layout.sh" oci-dir
du -sh oci-dir | sed 's/^/   /'

echo
echo "== soci-layout index ./oci-dir"
"$binary" index ./oci-dir

echo
echo "== what stands behind the tag v1 now"
root=$(jq -r '.manifests[0].digest' oci-dir/index.json)
jq -r '.manifests[] | [.platform.os + "/" + .platform.architecture, (.artifactType // "image manifest"), .digest[:19]] | @tsv' \
    "$(blob "$root")" | sed 's/^/   /'
echo
echo "== the SOCI index of the first image: a zTOC per layer"
soci=$(jq -r '[.manifests[] | select(.artifactType)][0].digest' "$(blob "$root")")
jq -r '.layers[] | ["zTOC", .digest[:19], (.size | tostring) + " bytes, for layer", .annotations["com.amazon.soci.image-layer-digest"][:19]] | join(" ")' \
    "$(blob "$soci")" | sed 's/^/   /'

echo
echo "== again: everything is there already"
before=$(find oci-dir -type f -printf '%p %T@ %i\n' | sort | sha256sum)
"$binary" index ./oci-dir
after=$(find oci-dir -type f -printf '%p %T@ %i\n' | sort | sha256sum)
[ "$before" = "$after" ]
echo "   no file was touched"
