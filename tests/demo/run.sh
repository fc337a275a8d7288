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
contents() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }
contents oci-dir > exported

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

echo
echo "== soci-layout verify ./oci-dir: would it load lazily and correctly?"
"$binary" verify --progress quiet ./oci-dir | sed 's/^/   /'

echo
echo "== soci-layout cat -v: a file of the image, through the spans of its zTOC"
platform=$(jq -r '[.manifests[] | select(.artifactType | not)][0].platform | .os + "/" + .architecture' "$(blob "$root")")
file=$("$binary" ls -R --json --platform "$platform" ./oci-dir | jq -r '[.entries[] | select(.type == "file" and .size > 1000)][0].path')
"$binary" cat -v --platform "$platform" ./oci-dir "$file" 2>said | sha256sum | cut -c1-64 | sed "s|^|   sha256 of $file: |"
sed 's/^/   /' said

echo
echo "== soci-layout index -: the same image through a pipe, as an archive"
tar -C oci-dir -cf - . | "$binary" index --progress quiet --quiet - --output from-pipe > /dev/null
diff <(contents oci-dir) <(contents from-pipe)
echo "   the same layout, file by file"

echo
echo "== soci-layout remove --prune ./oci-dir: as it was exported"
"$binary" remove --quiet --prune ./oci-dir > /dev/null
diff exported <(contents oci-dir)
echo "   every file is the exported one, and no other is left"
