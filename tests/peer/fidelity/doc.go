// Package fidelity compares what a lazy mount of a layer shows with what containerd unpacks of it,
// and has the layers on which both are tried: everything that two or three entries can do to each other.
package fidelity
