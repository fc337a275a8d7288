// Package peer holds the tests in which soci-layout is judged from outside: by the
// reference's bytes, by the reference's readers, and by Go's archive/tar. See README.md.
package peer
