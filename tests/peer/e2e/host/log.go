package host

import (
	"bufio"
	"encoding/json"
	"os"
)

// LogLine is what is looked at in a line of the snapshotter's log.
type LogLine struct {
	Message  string `json:"msg"`
	Digest   string `json:"digest"`
	Prepared string `json:"remote-snapshot-prepared"`
	Error    string `json:"error"`
	Level    string `json:"level"`
}

// LogMark is a place in the snapshotter's log.
func (s *Stack) LogMark() int64 {
	info, err := os.Stat(s.snapshotter.logFile)
	if err != nil {
		return 0
	}
	return info.Size()
}

// LogFile is the snapshotter's log.
func (s *Stack) LogFile() string { return s.snapshotter.logFile }

// LogAfter reads what the snapshotter has logged since a mark.
func (s *Stack) LogAfter(mark int64) ([]LogLine, error) {
	f, err := os.Open(s.snapshotter.logFile)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(mark, 0); err != nil {
		return nil, err
	}
	var found []LogLine
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line LogLine
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			found = append(found, line)
		}
	}
	return found, lines.Err()
}
