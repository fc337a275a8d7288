// Package reference is a thin wrapper over awslabs/soci-snapshotter, the program
// whose bytes and whose reader the project has to agree with. Nothing here knows
// the program under test.
//
// Importing the package puts the process into UTC: the reference prints times in
// the local zone, so its bytes are only reproducible there.
package reference
