// rootindex writes a layout whose index.json is itself the image for several platforms, as every
// program does that hands an index to go-containerregistry's layout.Write: ko, apko, rules_img.
//
//	rootindex LAYOUT DIR    of the index that is the first entry of LAYOUT
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/layout"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "rootindex:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: rootindex LAYOUT DIR")
	}
	root, err := layout.ImageIndexFromPath(args[0])
	if err != nil {
		return err
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return err
	}
	index, err := root.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		return err
	}
	_, err = layout.Write(args[1], index)
	return err
}
