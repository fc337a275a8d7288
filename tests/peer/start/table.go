package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// row is one measurement, a line of the file that is kept.
type row struct {
	time                   time.Time
	image                  string
	megabytes              float64
	variant                string
	run                    int
	pulled, started, ready reached
	waited                 time.Duration
	load                   string
}

// columns of the file. Seconds are from the beginning of the pull; requests and bytes are those until then; waited is the time between started and ready
// in which at least one request was running.
const columns = "time\timage\tmegabytes_per_second\tvariant\trun\t" +
	"pulled_seconds\tpulled_requests\tpulled_bytes\tstarted_seconds\tstarted_requests\tstarted_bytes\t" +
	"ready_seconds\tready_requests\tready_bytes\twaited_seconds\tload_before"

func (r row) String() string {
	return fmt.Sprintf("%s, %g MB/s, %s, run %d: pulled %.1f s, started %.1f s, ready %.1f s (waited %.1f s for the registry since started; %d requests, %.1f MB; load %s)",
		r.image, r.megabytes, r.variant, r.run, r.pulled.after.Seconds(), r.started.after.Seconds(), r.ready.after.Seconds(),
		r.waited.Seconds(), r.ready.requests, float64(r.ready.bytes)/1e6, r.load)
}

// append writes the row behind those that the file has.
func (r row) append(file string) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		fmt.Fprintln(f, columns)
	}
	fields := []string{r.time.Format(time.RFC3339), r.image, fmt.Sprint(r.megabytes), r.variant, strconv.Itoa(r.run)}
	for _, at := range []reached{r.pulled, r.started, r.ready} {
		fields = append(fields, fmt.Sprintf("%.3f", at.after.Seconds()), fmt.Sprint(at.requests), fmt.Sprint(at.bytes))
	}
	_, err = fmt.Fprintln(f, strings.Join(append(fields, fmt.Sprintf("%.3f", r.waited.Seconds()), r.load), "\t"))
	return errors.Join(err, f.Close())
}

func readRows(file string) ([]row, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []row
	for n, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		if line == columns {
			continue
		}
		r, err := parseRow(strings.Split(line, "\t"))
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", file, n+1, err)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func parseRow(fields []string) (r row, err error) {
	if len(fields) != strings.Count(columns, "\t")+1 {
		return r, fmt.Errorf("%d columns", len(fields))
	}
	r.image, r.variant, r.load = fields[1], fields[3], fields[15]
	number := func(n int) float64 {
		value, fails := strconv.ParseFloat(fields[n], 64)
		err = errors.Join(err, fails)
		return value
	}
	r.time, err = time.Parse(time.RFC3339, fields[0])
	r.megabytes, r.run = number(2), int(number(4))
	r.waited = time.Duration(number(14) * float64(time.Second))
	for n, at := range []*reached{&r.pulled, &r.started, &r.ready} {
		first := 5 + 3*n
		at.after = time.Duration(number(first) * float64(time.Second))
		at.requests, at.bytes = int64(number(first+1)), int64(number(first+2))
	}
	return r, err
}

// target is a ratio, overlayfs over the variant, that is wanted.
type target struct {
	image, variant, what string
	megabytes, ratio     float64
}

var targets = []target{
	{"elasticsearch", "soci", "started", 12.5, 8},
	{"elasticsearch", "prefetch", "ready", 12.5, 1.4},
	{"elasticsearch", "prefetch", "ready", 100, 1.05},
	{"python", "soci", "started", 12.5, 8},
	{"python", "prefetch", "ready", 12.5, 1.2},
	{"node", "soci", "started", 12.5, 8},
	{"node", "prefetch", "ready", 12.5, 1.2},
}

// printTable prints the medians of a file of rows, and what became of the targets.
func printTable(file string) error {
	rows, err := readRows(file)
	if err != nil {
		return err
	}
	fmt.Printf("\nMedians of %s; seconds from the beginning of the pull; load average %s\n\n", file, loads(rows))
	fmt.Println("| image | each connection | | pulled | started | ready | of it waiting since started | MB and requests: pulled | started | ready | started, overlayfs / this | ready, overlayfs / this |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	groups := groupsOf(rows)
	for _, g := range groups {
		base := find(groups, g.image, g.megabytes, "overlayfs")
		fmt.Printf("| %s | %g MB/s | %s (%d) | %.1f | %.1f | %.1f | %.1f | %s | %s | %s | %s | %s |\n", g.image, g.megabytes, g.variant, len(g.rows),
			g.seconds("pulled"), g.seconds("started"), g.seconds("ready"), g.median(func(r row) float64 { return r.waited.Seconds() }),
			g.traffic("pulled"), g.traffic("started"), g.traffic("ready"),
			ratio(base, g, "started"), ratio(base, g, "ready"))
	}
	fmt.Println("\n| target (overlayfs / this) | wanted | measured | |\n| --- | --- | --- | --- |")
	for _, t := range targets {
		g, base := find(groups, t.image, t.megabytes, t.variant), find(groups, t.image, t.megabytes, "overlayfs")
		if g == nil || base == nil {
			continue
		}
		word := "missed"
		got := base.seconds(t.what) / g.seconds(t.what)
		if got >= t.ratio {
			word = "met"
		}
		fmt.Printf("| %s %s, %s, %g MB/s | %.2f | %.2f | %s |\n", t.image, t.what, t.variant, t.megabytes, t.ratio, got, word)
	}
	return nil
}

// group is all runs of one image in one way.
type group struct {
	image     string
	megabytes float64
	variant   string
	rows      []row
}

// groupsOf keeps the order in which they were measured.
func groupsOf(rows []row) []*group {
	var groups []*group
	for _, r := range rows {
		g := find(groups, r.image, r.megabytes, r.variant)
		if g == nil {
			g = &group{image: r.image, megabytes: r.megabytes, variant: r.variant}
			groups = append(groups, g)
		}
		g.rows = append(g.rows, r)
	}
	return groups
}

func find(groups []*group, image string, megabytes float64, variant string) *group {
	for _, g := range groups {
		if g.image == image && g.megabytes == megabytes && g.variant == variant {
			return g
		}
	}
	return nil
}

func (r row) at(what string) reached {
	return map[string]reached{"pulled": r.pulled, "started": r.started, "ready": r.ready}[what]
}

func (g *group) median(of func(row) float64) float64 {
	var values []float64
	for _, r := range g.rows {
		values = append(values, of(r))
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 0 {
		return (values[middle-1] + values[middle]) / 2
	}
	return values[middle]
}

func (g *group) seconds(what string) float64 {
	return g.median(func(r row) float64 { return r.at(what).after.Seconds() })
}

func (g *group) traffic(what string) string {
	bytes := g.median(func(r row) float64 { return float64(r.at(what).bytes) })
	requests := g.median(func(r row) float64 { return float64(r.at(what).requests) })
	return fmt.Sprintf("%.1f, %.0f", bytes/1e6, requests)
}

func ratio(base, g *group, what string) string {
	if base == nil || base == g {
		return ""
	}
	return fmt.Sprintf("%.2f", base.seconds(what)/g.seconds(what))
}

// loads is the range of load averages that runs began with.
func loads(rows []row) string {
	var values []float64
	for _, r := range rows {
		if value, err := strconv.ParseFloat(r.load, 64); err == nil {
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f to %.1f", slices.Min(values), slices.Max(values))
}
