// Package corpus makes image layers: contents × tar writers × compression writers,
// random ones, and ones that are broken in known ways. Everything is made anew from
// fixed or printed seeds, so no layer is kept in the repository. Nothing here knows
// the program under test or the reference.
package corpus
