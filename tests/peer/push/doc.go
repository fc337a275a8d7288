// Package push checks that a layout indexed by soci-layout survives a push:
// ordinary tools carry it to a registry, and there the SOCI index is found,
// fetched and parsed the way the soci-snapshotter does it. See README.md.
package push
