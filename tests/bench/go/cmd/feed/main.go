// Command feed writes a file into a program's standard input at a given rate, as a
// build does, and notes how long the program takes after the last byte.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

const piece = 1 << 20

func main() {
	if len(os.Args) < 5 {
		fmt.Fprintln(os.Stderr, "feed FILE BYTES-PER-SECOND NOTE PROGRAM [ARGUMENT]...")
		os.Exit(2)
	}
	if err := feed(os.Args[1], os.Args[2], os.Args[3], os.Args[4:]); err != nil {
		fmt.Fprintln(os.Stderr, "feed:", err)
		os.Exit(1)
	}
}

// feed writes the seconds between the last byte and the program's end into note.
func feed(file, rate, note string, argv []string) error {
	perSecond, err := strconv.ParseFloat(rate, 64)
	if err != nil {
		return err
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer in.Close()
	command := exec.Command(argv[0], argv[1:]...)
	command.Stderr = os.Stderr
	out, err := command.StdinPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	if err := paced(out, in, perSecond); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	last := time.Now()
	if err := command.Wait(); err != nil {
		return err
	}
	return os.WriteFile(note, fmt.Appendf(nil, "%f", time.Since(last).Seconds()), 0o644)
}

// paced copies no faster than so many bytes a second.
func paced(out io.Writer, in io.Reader, perSecond float64) error {
	start, done := time.Now(), 0.0
	for {
		count, err := io.CopyN(out, in, piece)
		done += float64(count)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		time.Sleep(time.Until(start.Add(time.Duration(done / perSecond * float64(time.Second)))))
	}
}
