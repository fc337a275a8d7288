#!/bin/sh
# Indexes the images of a list with eight workers on this machine, which share what they have scanned. It goes on after what
# is done when it is started again.
#
#   parallel.sh LIST CACHE_DIR
set -eu
list=$1 cache=$2
seq 0 7 | parallel --jobs 8 --line-buffer soci-layout index --progress quiet --from-file "$list" --shard {}/8 --cache-dir "$cache"
