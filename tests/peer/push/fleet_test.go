package push

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// `soci-layout index --from-file`, and the files of docs/fleet.md.

// upload puts a blob or manifest into a registry.
func upload(t testing.TB, host, path, mediaType string, content []byte) ocispec.Descriptor {
	t.Helper()
	d, method := digest.FromBytes(content), http.MethodPut
	if path == "blob" {
		path, method = "blobs/uploads/?digest="+d.String(), http.MethodPost
	}
	req, err := http.NewRequest(method, "http://"+host+"/v2/app/"+path, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %s", path, resp.Status)
	}
	return ocispec.Descriptor{MediaType: mediaType, Digest: d, Size: int64(len(content))}
}

// smallLayer has one file of its own.
func smallLayer(t testing.TB, number int) []byte {
	t.Helper()
	content := make([]byte, 100<<10)
	random := rand.New(rand.NewPCG(7, uint64(number)))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	archive := tar.NewWriter(zip)
	if err := archive.WriteHeader(&tar.Header{Name: fmt.Sprintf("file-%d", number), Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if _, err := archive.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// fleet fills a registry with images of three layers each out of few, and gives their tags.
func fleet(t testing.TB, host string, images, layers int) (tags []string) {
	t.Helper()
	var all []ocispec.Descriptor
	for number := range layers {
		all = append(all, upload(t, host, "blob", ocispec.MediaTypeImageLayerGzip, smallLayer(t, number)))
	}
	for number := range images {
		config := upload(t, host, "blob", ocispec.MediaTypeImageConfig,
			fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","author":"%d","rootfs":{"type":"layers","diff_ids":[]}}`, number))
		manifest := ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config}
		for at := range 3 {
			manifest.Layers = append(manifest.Layers, all[(number/4+at*layers/3)%layers])
		}
		raw, err := json.Marshal(manifest)
		if err != nil {
			t.Fatal(err)
		}
		tag := fmt.Sprintf("v%d", number)
		upload(t, host, "manifests/"+tag, ocispec.MediaTypeImageManifest, raw)
		tags = append(tags, tag)
	}
	return tags
}

// record is a line of the program's output.
type record struct {
	Image, To, Result, Digest, Error string
	LayersScanned                    int `json:"layers_scanned"`
	LayersReused                     int `json:"layers_reused"`
}

// records reads whole lines: a worker that was killed may have left the last one unfinished.
func records(t testing.TB, out []byte) (found []record) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var one record
		if err := json.Unmarshal(lines.Bytes(), &one); err == nil {
			found = append(found, one)
		}
	}
	return found
}

func listFile(t testing.TB, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "images.txt")
	if err := os.WriteFile(file, []byte("# a comment\n\n"+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// worker runs the program over a list, and gives its lines and exit code; with `kill` it is killed after so many lines.
func worker(t testing.TB, env []string, kill int, args ...string) ([]record, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), mustOwn(t), append([]string{"index", "--progress", "quiet", "-q", "--min-layer-size", "0"}, args...)...)
	cmd.Env = append([]string{"HOME=" + emptyHome(), "DOCKER_CONFIG=" + emptyHome(), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, env...)
	var out, log bytes.Buffer
	pipe, err := cmd.StdoutPipe()
	cmd.Stderr = &log
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(io.TeeReader(pipe, &out))
	for n := 1; lines.Scan(); n++ {
		if n == kill {
			_ = cmd.Process.Kill()
		}
	}
	err = cmd.Wait()
	found := records(t, out.Bytes())
	if code := exitCode(err); code > 1 && code != 4 || bytes.Contains(log.Bytes(), []byte("bug")) {
		t.Errorf("exit code %d: %s", code, &log)
	}
	return found, exitCode(err)
}

// fleetSize is how many images there are: SOCI_FLEET_IMAGES says more.
func fleetSize(t testing.TB) int {
	text := os.Getenv("SOCI_FLEET_IMAGES")
	if text == "" {
		return 96
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Eight workers, of which three are killed in the middle and started again, give what one worker gives; what is done is not
// done again.
func TestFleetOfWorkers(t *testing.T) {
	const workers, layers = 8, 60
	images := fleetSize(t)
	var reads atomic.Int64
	inner := inMemory()
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			reads.Add(1)
		}
		inner.ServeHTTP(w, r)
	}))
	tags := fleet(t, host, images, layers)
	lines := func(suffix string) (list []string) {
		for _, tag := range tags {
			list = append(list, fmt.Sprintf("%s/app:%s %s/app:%s-%s", host, tag, host, tag, suffix))
		}
		return list
	}
	list, cache := listFile(t, lines("soci")...), t.TempDir()
	start := time.Now()
	var mu sync.Mutex
	var ended []record
	var group sync.WaitGroup
	for number := range workers {
		group.Go(func() {
			kill := 0
			if number%3 == 0 {
				kill = images / workers / 2
			}
			shard := []string{"--from-file", list, "--shard", fmt.Sprintf("%d/%d", number, workers), "--cache-dir", cache}
			found, code := worker(t, nil, kill, shard...)
			if kill > 0 {
				if code != -1 {
					t.Errorf("worker %d was not killed: %d", number, code)
				}
				more, again := worker(t, []string{"JOB_COMPLETION_INDEX=" + strconv.Itoa(number)}, 0,
					"--from-file", list, "--shard", strconv.Itoa(workers), "--cache-dir", cache)
				there := 0
				for _, one := range more {
					if one.Result == "there" {
						there++
					}
					// What a killed worker had written no line for is counted by the line of the next.
					if one.Result != "there" || one.LayersScanned > 0 {
						found = append(found, one)
					}
				}
				if there < kill {
					t.Errorf("worker %d found %d images done, had done %d", number, there, kill)
				}
				code = again
			}
			if code != 0 {
				t.Errorf("worker %d: %d", number, code)
			}
			mu.Lock()
			ended = append(ended, found...)
			mu.Unlock()
		})
	}
	group.Wait()
	took := time.Since(start)
	scanned, seen := 0, map[string]string{}
	for _, one := range ended {
		scanned += one.LayersScanned
		seen[one.Image] = one.Digest
	}
	// Two workers that come to a layer at the same time both scan it.
	t.Logf("%d workers: %d images in %v, %d scans of %d layers, %d blobs read", workers, images, took.Round(time.Millisecond), scanned, layers, reads.Load())
	if len(seen) != images || scanned < layers || scanned > layers+layers/2 {
		t.Errorf("%d images of %d, %d scans", len(seen), images, scanned)
	}
	alone, code := worker(t, nil, 0, "--from-file", listFile(t, lines("alone")...))
	if code != 0 || len(alone) != images {
		t.Fatalf("%d, %d images", code, len(alone))
	}
	scanned = 0
	repo := Repo{&Registry{Host: host, HasReferrers: true}, "app"}
	for number, one := range alone {
		scanned += one.LayersScanned
		_, got, err := repo.manifest(tags[number] + "-soci")
		if err != nil || got.String() != one.Digest || one.Digest == "" || seen[one.Image] != one.Digest {
			t.Fatalf("%s: %s and %s, alone %s (%v)", one.Image, got, seen[one.Image], one.Digest, err)
		}
	}
	if scanned != layers {
		t.Errorf("alone: %d scans of %d layers", scanned, layers)
	}
}

// One image that fails does not keep the others from being done.
func TestFleetGoesOn(t *testing.T) {
	host := serve(t, inMemory())
	fleet(t, host, 2, 3)
	list := listFile(t, host+"/app:v0 "+host+"/app:a", host+"/app:none "+host+"/app:b", host+"/app:v1")
	found, code := worker(t, nil, 0, "--from-file", list)
	if code != 4 || len(found) != 3 || found[0].Result != "done" || found[1].Result != "failed" || found[1].Error == "" || found[2].Result != "done" {
		t.Errorf("%d: %+v", code, found)
	}
	// Nothing is written where too little is lazy.
	list = listFile(t, host+"/app:v0 "+host+"/app:c")
	found, code = worker(t, nil, 0, "--from-file", list, "--skip-layer", "1", "--max-eager", "0")
	if _, _, err := (Repo{&Registry{Host: host}, "app"}).manifest("c"); code != 4 || found[0].Result != "refused" || err == nil {
		t.Errorf("%d: %+v, %v", code, found, err)
	}
	out, err := run(t, mustOwn(t), "index", "--from-file", listFile(t, "https://x/y"))
	if exitCode(err) != 1 || !strings.Contains(out, "line 3") {
		t.Errorf("%v: %s", err, out)
	}
}

// Images a minute by the number of workers, of a registry that takes 20 ms to answer: without a limit, and with one of so many
// requests a second, behind which it answers 429. A measurement: SOCI_FLEET_THROUGHPUT=1 and -v show it.
func TestFleetThroughput(t *testing.T) {
	if os.Getenv("SOCI_FLEET_THROUGHPUT") == "" {
		t.Skip("a measurement: SOCI_FLEET_THROUGHPUT=1")
	}
	const images = 48
	for _, limit := range []int{0, 100} {
		for _, workers := range []int{1, 2, 4, 8, 16} {
			inner := inMemory()
			var measuring atomic.Bool
			var mu sync.Mutex
			var second time.Time
			asked, refused, now := 0, 0, 0
			host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if measuring.Load() {
					mu.Lock()
					if at := time.Now().Truncate(time.Second); at != second {
						second, now = at, 0
					}
					asked++
					now++
					late := limit > 0 && now > limit
					if late {
						refused++
					}
					mu.Unlock()
					if late {
						w.Header().Set("Retry-After", "1")
						w.WriteHeader(http.StatusTooManyRequests)
						return
					}
					time.Sleep(20 * time.Millisecond)
				}
				inner.ServeHTTP(w, r)
			}))
			var lines []string
			for _, tag := range fleet(t, host, images, images) {
				lines = append(lines, fmt.Sprintf("%s/app:%s %s/app:%s-soci", host, tag, host, tag))
			}
			list := listFile(t, lines...)
			measuring.Store(true)
			start := time.Now()
			var done atomic.Int64
			var group sync.WaitGroup
			for number := range workers {
				group.Go(func() {
					found, code := worker(t, nil, 0, "--from-file", list, "--shard", fmt.Sprintf("%d/%d", number, workers), "--jobs", "1")
					for _, one := range found {
						if one.Result == "done" {
							done.Add(1)
						}
					}
					if code != 0 {
						t.Errorf("worker %d: %d", number, code)
					}
				})
			}
			group.Wait()
			took := time.Since(start)
			if done.Load() != images {
				t.Errorf("%d of %d images", done.Load(), images)
			}
			t.Logf("limit %d a second, %d workers: %.0f images a minute, %d requests an image, %d refused",
				limit, workers, images/took.Minutes(), (asked-refused)/images, refused)
		}
	}
}

// What a restart reads of the layers of images that are done: two spans of each that has a zTOC, all of one that cannot have
// one, once; with --trust-blobs nothing.
func TestFleetRestarts(t *testing.T) {
	inner := inMemory()
	var mu sync.Mutex
	reads := map[string][]string{}
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			mu.Lock()
			name := filepath.Base(r.URL.Path)
			reads[name] = append(reads[name], r.Header.Get("Range"))
			mu.Unlock()
		}
		inner.ServeHTTP(w, r)
	}))
	lazy := upload(t, host, "blob", ocispec.MediaTypeImageLayerGzip, smallLayer(t, 1))
	eager := upload(t, host, "blob", ocispec.MediaTypeImageLayerGzip, append([]byte("no gzip"), smallLayer(t, 2)...))
	var list []string
	for number := range 2 {
		config := upload(t, host, "blob", ocispec.MediaTypeImageConfig,
			fmt.Appendf(nil, `{"os":"linux","architecture":"amd64","author":"%d","rootfs":{"type":"layers","diff_ids":[]}}`, number))
		raw, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
			Config: config, Layers: []ocispec.Descriptor{eager, lazy}})
		if err != nil {
			t.Fatal(err)
		}
		upload(t, host, fmt.Sprintf("manifests/v%d", number), ocispec.MediaTypeImageManifest, raw)
		list = append(list, fmt.Sprintf("%s/app:v%d %s/app:v%d-soci", host, number, host, number))
	}
	for _, c := range []struct {
		name, result  string
		args          []string
		eager, lazy   int
		layersScanned int
	}{
		{"the first time", "done", nil, 1, 2, 1},
		{"again", "there", nil, 1, 2, 0},
		{"again, trusting", "there", []string{"--trust-blobs"}, 0, 0, 0},
		{"with other settings", "done", []string{"--trust-blobs", "--span-size", "65536"}, 1, 1, 1},
		{"again with these", "there", []string{"--trust-blobs", "--span-size", "65536"}, 0, 0, 0},
	} {
		clear(reads)
		found, code := worker(t, nil, 0, append([]string{"--from-file", listFile(t, list...)}, c.args...)...)
		scanned := 0
		for _, one := range found {
			scanned += one.LayersScanned
			if one.Result != c.result {
				t.Errorf("%s: %+v", c.name, one)
			}
		}
		of := func(d ocispec.Descriptor) []string { return reads[d.Digest.String()] }
		if code != 0 || len(of(eager)) != c.eager || len(of(lazy)) != c.lazy || scanned != c.layersScanned {
			t.Errorf("%s: %d scans, %q and %q read", c.name, scanned, of(eager), of(lazy))
		}
	}
}

// A registry that wants to be left alone is, by all that a worker does at a time.
func TestFleetWaitsAsAsked(t *testing.T) {
	inner := inMemory()
	var mu sync.Mutex
	var until time.Time
	var early, refused int
	host := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		now := time.Now()
		if now.Before(until.Add(-1200 * time.Millisecond)) {
			early++ // dates have whole seconds
		}
		stop := refused < 3 && r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/blobs/") && now.After(until)
		if stop {
			refused++
			until = now.Add(2 * time.Second)
		}
		mu.Unlock()
		if stop {
			w.Header().Set("Retry-After", now.Add(2*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	fleet(t, host, 1, 3)
	found, code := worker(t, nil, 0, "--from-file", listFile(t, host+"/app:v0 "+host+"/app:a"))
	if code != 0 || len(found) != 1 || refused != 3 || early > 8 {
		t.Errorf("%d: %+v; %d refused, %d early", code, found, refused, early)
	}
}

func fleetFile(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "fleet", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// The arguments of a file of docs/fleet.md work with another list.
func wantFleetRuns(t *testing.T, env []string, args []string) {
	t.Helper()
	host := serve(t, inMemory())
	fleet(t, host, 8, 3)
	var lines []string
	for number := range 8 {
		lines = append(lines, fmt.Sprintf("%s/app:v%d %s/app:v%d-soci", host, number, host, number))
	}
	for at, arg := range args {
		if strings.HasSuffix(arg, "images.txt") {
			args[at] = listFile(t, lines...)
		}
	}
	if args[0] != "index" {
		t.Fatalf("%q", args)
	}
	found, code := worker(t, env, 0, args[1:5]...)
	if code != 0 || len(found) != 1 || found[0].Result != "done" || !strings.HasSuffix(found[0].Image, ":v3") {
		t.Errorf("%d: %+v", code, found)
	}
}

func TestFleetKubernetes(t *testing.T) {
	documents := bytes.Split(fleetFile(t, "kubernetes.yaml"), []byte("\n---\n"))
	var list corev1.ConfigMap
	var job batchv1.Job
	if err := yaml.UnmarshalStrict(documents[0], &list); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict(documents[1], &job); err != nil {
		t.Fatal(err)
	}
	spec := job.Spec
	container := spec.Template.Spec.Containers[0]
	if list.Data["images.txt"] == "" || *spec.CompletionMode != batchv1.IndexedCompletion || *spec.Completions != 8 {
		t.Errorf("%+v", spec)
	}
	// Where what is mounted is looked for.
	mounts := map[string]string{}
	for _, mount := range container.VolumeMounts {
		mounts[mount.Name] = mount.MountPath
	}
	for _, volume := range spec.Template.Spec.Volumes {
		if mounts[volume.Name] == "" {
			t.Errorf("volume %s is not mounted", volume.Name)
		}
	}
	wantFleetRuns(t, []string{"JOB_COMPLETION_INDEX=3"}, container.Args)
}

func TestFleetBatch(t *testing.T) {
	var definition struct {
		ContainerProperties struct{ Command []string }
	}
	var job struct{ ArrayProperties struct{ Size int } }
	for name, into := range map[string]any{"batch-job-definition.json": &definition, "batch-job.json": &job} {
		if err := json.Unmarshal(fleetFile(t, name), into); err != nil {
			t.Fatal(err)
		}
	}
	command := definition.ContainerProperties.Command
	if job.ArrayProperties.Size != 8 || command[4] != "8" {
		t.Errorf("%d, %q", job.ArrayProperties.Size, command)
	}
	wantFleetRuns(t, []string{"AWS_BATCH_JOB_ARRAY_INDEX=3"}, command)
}

func TestFleetGitHub(t *testing.T) {
	var workflow struct {
		Jobs map[string]struct {
			Strategy struct{ Matrix struct{ Shard []int } }
			Steps    []struct {
				Name, Run string
				Env       map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(fleetFile(t, "github.yml"), &workflow); err != nil {
		t.Fatal(err)
	}
	job := workflow.Jobs["index"]
	step := job.Steps[len(job.Steps)-1]
	if len(job.Strategy.Matrix.Shard) != 8 || step.Env["SHARD"] != "${{ matrix.shard }}" {
		t.Fatalf("%+v", job)
	}
	host := serve(t, inMemory())
	fleet(t, host, 8, 3)
	dir := t.TempDir()
	var lines []string
	for number := range 8 {
		lines = append(lines, fmt.Sprintf("%s/app:v%d %s/app:v%d-soci", host, number, host, number))
	}
	if err := os.Rename(listFile(t, lines...), filepath.Join(dir, "images.txt")); err != nil {
		t.Fatal(err)
	}
	for _, shard := range job.Strategy.Matrix.Shard {
		cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step.Run)
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + onPath(t) + ":" + os.Getenv("PATH"), "SHARD=" + strconv.Itoa(shard), "HOME=" + emptyHome()}
		out, err := cmd.Output()
		if found := records(t, out); err != nil || len(found) != 1 || found[0].Result != "done" {
			t.Errorf("%d: %v: %s", shard, err, out)
		}
	}
}

// onPath is a directory with the program under its name.
func onPath(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink(mustOwn(t), filepath.Join(dir, "soci-layout")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// The function's container against a runtime API that gives it events one by one.
func TestFleetLambda(t *testing.T) {
	host := serve(t, inMemory())
	fleet(t, host, 2, 3)
	event := func(repository, tag string) string {
		return fmt.Sprintf(`{"account":"123456789012","region":"eu-west-1","detail-type":"ECR Image Action","detail":{"action-type":"PUSH","result":"SUCCESS","repository-name":%q,"image-tag":%q}}`, repository, tag)
	}
	events := []string{event("app", "v0"), event("app", "v0-soci"), event("app", "none"), `{"detail":{}}`, event("app", "v1")}
	answers := make(chan string, len(events))
	var next atomic.Int32
	api := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const base = "/2018-06-01/runtime/invocation/"
		path := strings.TrimPrefix(r.URL.Path, base)
		if path == "next" {
			at := int(next.Add(1)) - 1
			if at >= len(events) {
				w.WriteHeader(http.StatusGone) // the end of the test
				return
			}
			w.Header().Set("Lambda-Runtime-Aws-Request-Id", fmt.Sprintf("id-%d", at))
			fmt.Fprint(w, events[at])
			return
		}
		body, _ := io.ReadAll(r.Body)
		answers <- path + " " + string(body)
		w.WriteHeader(http.StatusAccepted)
	}))
	script, err := filepath.Abs(filepath.Join("..", "..", "..", "docs", "fleet", "lambda", "bootstrap"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), script)
	cmd.Env = []string{"PATH=" + onPath(t) + ":" + os.Getenv("PATH"), "AWS_LAMBDA_RUNTIME_API=" + api, "REGISTRY=" + host,
		"HOME=" + emptyHome(), "TMPDIR=" + t.TempDir()}
	log, err := cmd.CombinedOutput()
	close(answers)
	var got []string
	for answer := range answers {
		got = append(got, answer)
	}
	want := [][2]string{{"id-0/response", `"result":"`}, {"id-1/response", "passed-over"}, {"id-2/error", "no such image"},
		{"id-3/response", "passed-over"}, {"id-4/response", `"result":"`}}
	if len(got) != len(want) {
		t.Fatalf("%v: %q\n%s", err, got, log)
	}
	for at, part := range want {
		if !strings.HasPrefix(got[at], part[0]) || !strings.Contains(got[at], part[1]) {
			t.Errorf("%q, want %q\n%s", got[at], part, log)
		}
	}
	for _, tag := range []string{"v0-soci", "v1-soci"} {
		if _, _, err := (Repo{&Registry{Host: host}, "app"}).manifest(tag); err != nil {
			t.Error(err)
		}
	}
}

// Eight workers on one machine.
func TestFleetParallel(t *testing.T) {
	if _, err := exec.LookPath("parallel"); err != nil {
		t.Fatal("parallel is not in PATH (tests/setup.sh installs it)")
	}
	host := serve(t, inMemory())
	fleet(t, host, 16, 6)
	var lines []string
	for number := range 16 {
		lines = append(lines, fmt.Sprintf("%s/app:v%d %s/app:v%d-soci", host, number, host, number))
	}
	script := filepath.Join("..", "..", "..", "docs", "fleet", "parallel.sh")
	cmd := exec.CommandContext(t.Context(), "sh", script, listFile(t, lines...), t.TempDir())
	cmd.Env = []string{"PATH=" + onPath(t) + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if found := records(t, out); err != nil || len(found) != 16 {
		t.Errorf("%v: %s", err, out)
	}
}
