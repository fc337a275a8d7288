#!/usr/bin/env bash
# Makes an OCI image layout from real files of this machine: two platforms, one layer in common, every
# layer well over 10 MiB compressed. Usage: make-layout.sh DIRECTORY
set -euo pipefail
out=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out/blobs/sha256"

# The first files below a directory (in the order of their names) up to so many MiB.
files() { # DIRECTORY MIB
    find "$1" -xdev -type f -size -16M -printf '%s\t%P\0' 2>/dev/null | sort -z -t $'\t' -k 2 |
        awk -v RS='\0' -v ORS='\0' -F '\t' -v most="$(($2 * 1048576))" '(sum += $1) <= most { print $2 }'
}

# Moves a file to its blob and prints its digest's 64 digits.
blob() { # FILE
    local hex
    hex=$(sha256sum "$1" | cut -d ' ' -f 1)
    mv "$1" "$out/blobs/sha256/$hex"
    chmod 0444 "$out/blobs/sha256/$hex"
    echo "$hex"
}

descriptor() { # MEDIATYPE HEX [MORE]
    printf '{"mediaType":"%s","digest":"sha256:%s","size":%d%s}' "$1" "$2" \
        "$(stat -c %s "$out/blobs/sha256/$2")" "${3:-}"
}

# A layer of the files of a directory. Sets layer and diff.
make_layer() { # DIRECTORY MIB
    files "$1" "$2" | tar --create --format=pax --sort=name --owner=0 --group=0 --numeric-owner \
        --pax-option=delete=atime,delete=ctime --transform="s,^,${1#/}/,S" --file="$work/tar" \
        --directory="$1" --no-recursion --null --files-from=-
    diff=$(sha256sum "$work/tar" | cut -d ' ' -f 1)
    gzip -6 -n "$work/tar"
    layer=$(blob "$work/tar.gz")
    echo "   layer ${layer:0:12}: $(($(stat -c %s "$out/blobs/sha256/$layer") / 1048576)) MiB of $1" >&2
}

image() { # ARCHITECTURE LAYER DIFF LAYER DIFF …
    local architecture=$1 diffs='' layers='' config manifest
    shift
    while (($#)); do
        layers+="${layers:+,}$(descriptor application/vnd.oci.image.layer.v1.tar+gzip "$1")"
        diffs+="${diffs:+,}\"sha256:$2\""
        shift 2
    done
    printf '{"architecture":"%s","os":"linux","config":{"Cmd":["/bin/sh"]},"rootfs":{"type":"layers","diff_ids":[%s]}}' \
        "$architecture" "$diffs" >"$work/json"
    config=$(blob "$work/json")
    printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
        "$(descriptor application/vnd.oci.image.config.v1+json "$config")" "$layers" >"$work/json"
    manifest=$(blob "$work/json")
    descriptor application/vnd.oci.image.manifest.v1+json "$manifest" \
        ",\"platform\":{\"architecture\":\"$architecture\",\"os\":\"linux\"}"
}

make_layer /usr/lib 90
lib=$layer lib_diff=$diff
make_layer /usr/bin 60
bin=$layer bin_diff=$diff
make_layer /usr/share 70
share=$layer share_diff=$diff
one=$(image amd64 "$lib" "$lib_diff" "$bin" "$bin_diff")
two=$(image arm64 "$lib" "$lib_diff" "$share" "$share_diff")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s,%s]}' \
    "$one" "$two" >"$work/json"
index=$(blob "$work/json")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[%s]}' \
    "$(descriptor application/vnd.oci.image.index.v1+json "$index" \
        ',"annotations":{"org.opencontainers.image.ref.name":"v1"}')" >"$out/index.json"
printf '{"imageLayoutVersion":"1.0.0"}' >"$out/oci-layout"
