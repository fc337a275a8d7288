// Command peer runs the reference for people and for benchmarks.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"soci-layout.test/peer/reference"
)

const usage = `peer runs the reference (awslabs/soci-snapshotter), always in UTC.

  peer ztoc [-span-size N] [-media-type T] [-tool S] LAYER OUT   write the reference's zTOC of a layer
  peer read [-media-type T] LAYER ZTOC                read a layer through a zTOC, compare it with its tar
  peer convert [-span-size N] [-min-layer-size N] [-platform P,P] [-archive] LAYOUT OUT
                                                      convert a layout, print the digest of the index
  peer index-check FILE                               is this SOCI index encoded as the reference does it?
`

var errUsage = errors.New("wrong arguments")

func main() {
	err := run(os.Args[1:])
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.Usage = func() {}
	span := flags.Int64("span-size", 4<<20, "")
	minimum := flags.Int64("min-layer-size", 10<<20, "")
	mediaType := flags.String("media-type", ocispec.MediaTypeImageLayerGzip, "")
	tool := flags.String("tool", reference.Tool, "")
	platform := flags.String("platform", "", "")
	archive := flags.Bool("archive", false, "")
	if err := flags.Parse(args[1:]); err != nil {
		return errUsage
	}
	count := map[string]int{"ztoc": 2, "read": 2, "convert": 2, "index-check": 1}
	if n, known := count[args[0]]; !known || flags.NArg() != n {
		return errUsage
	}
	first, second := flags.Arg(0), flags.Arg(1)
	switch args[0] {
	case "ztoc":
		toc, err := reference.BuildZtoc(first, *mediaType, *span, *tool)
		if err != nil {
			return err
		}
		return os.WriteFile(second, toc, 0o644)
	case "read":
		return read(first, *mediaType, second)
	case "convert":
		options := reference.Options{SpanSize: *span, MinLayerSize: *minimum, Tool: *tool, Archive: *archive}
		if *platform != "" {
			options.Platforms = strings.Split(*platform, ",")
		}
		converted, err := reference.Convert(context.Background(), first, second, options)
		if err != nil {
			return err
		}
		fmt.Println(converted.Digest)
		return nil
	default:
		return indexCheck(first)
	}
}

func read(layer, mediaType, file string) error {
	toc, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	got, err := reference.ReadAll(layer, mediaType, toc)
	if err != nil {
		return err
	}
	if len(got.Mismatches) > 0 {
		return fmt.Errorf("%d mismatches\n%s", len(got.Mismatches), strings.Join(got.Mismatches, "\n"))
	}
	fmt.Printf("%d entries, %d files, %d bytes: all as in the tar (%d reads repeated)\n", got.Entries, got.Files, got.Bytes, got.Retries)
	return nil
}

func indexCheck(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	index, err := reference.IndexRoundTrip(text)
	if err != nil {
		return err
	}
	fmt.Printf("%s, %d blobs\n", index.Config.MediaType, len(index.Blobs))
	return nil
}
