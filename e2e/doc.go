// Package e2e proves lazy loading in a real runtime: images that soci-layout indexed are
// pulled by containerd through the reference's snapshotter, mounted by FUSE, compared
// file by file with the layers unpacked by GNU tar, and run.
package e2e
