package corpus

import (
	"fmt"
	"strconv"
)

// rawHeader is a header block whose fields are set byte by byte, so that it can say
// what no tar writer would.
type rawHeader [block]byte

// Offsets and lengths of the ustar fields.
type rawField struct{ at, length int }

var (
	fieldName     = rawField{0, 100}
	fieldMode     = rawField{100, 8}
	fieldUID      = rawField{108, 8}
	fieldGID      = rawField{116, 8}
	fieldSize     = rawField{124, 12}
	fieldTime     = rawField{136, 12}
	fieldChecksum = rawField{148, 8}
	fieldType     = rawField{156, 1}
	fieldLink     = rawField{157, 100}
	fieldMagic    = rawField{257, 8}
	fieldUser     = rawField{265, 32}
	fieldGroup    = rawField{297, 32}
	fieldMajor    = rawField{329, 8}
	fieldMinor    = rawField{337, 8}
	fieldPrefix   = rawField{345, 155}
	fieldTail     = rawField{500, 12}
)

const (
	magicUSTAR = "ustar\x0000"
	magicGNU   = "ustar  \x00"
	magicV7    = "\x00\x00\x00\x00\x00\x00\x00\x00"
)

// newRaw is a header with nothing unusual about it.
func newRaw(kind byte, name string, size int) *rawHeader {
	h := new(rawHeader)
	h.text(fieldMagic, magicUSTAR)
	h.text(fieldName, name)
	h.octal(fieldMode, 0o644)
	h.octal(fieldUID, 0)
	h.octal(fieldGID, 0)
	h.octal(fieldSize, int64(size))
	h.octal(fieldTime, moment.Unix())
	h.octal(fieldMajor, 0)
	h.octal(fieldMinor, 0)
	h[fieldType.at] = kind
	return h
}

func (h *rawHeader) text(f rawField, s string) *rawHeader {
	clear(h[f.at : f.at+f.length])
	copy(h[f.at:f.at+f.length], s)
	return h
}

func (h *rawHeader) octal(f rawField, n int64) *rawHeader {
	return h.text(f, fmt.Sprintf("%0*o", f.length-1, n))
}

// binary writes a number in base 256, as GNU tar does for what octal cannot hold.
func (h *rawHeader) binary(f rawField, n int64) *rawHeader {
	b := h[f.at : f.at+f.length]
	for i := range b {
		b[len(b)-1-i] = byte(n >> min(8*i, 63))
	}
	b[0] |= 0x80
	return h
}

// sum sets the checksum to what the bytes add up to.
func (h *rawHeader) sum() *rawHeader {
	h.text(fieldChecksum, "        ")
	total := 0
	for _, c := range h {
		total += int(c)
	}
	return h.text(fieldChecksum, fmt.Sprintf("%06o\x00 ", total))
}

// rawArchive collects blocks.
type rawArchive []byte

func (a *rawArchive) entry(h *rawHeader, data string) *rawArchive {
	*a = append(*a, h.sum()[:]...)
	return a.data(data)
}

func (a *rawArchive) data(data string) *rawArchive {
	*a = append(*a, data...)
	if rest := len(data) % block; rest != 0 {
		*a = append(*a, make([]byte, block-rest)...)
	}
	return a
}

// meta writes an extended header, or a long name or link, for the next entry.
func (a *rawArchive) meta(kind byte, payload string) *rawArchive {
	h := newRaw(kind, "meta", len(payload))
	if kind == 'L' || kind == 'K' {
		h.text(fieldMagic, magicGNU)
	}
	return a.entry(h, payload)
}

func (a *rawArchive) file(name, data string) *rawArchive {
	return a.entry(newRaw('0', name, len(data)), data)
}

func (a *rawArchive) end() []byte { return append(*a, make([]byte, 2*block)...) }

// record is a PAX record, with the length that it has to have.
func record(key, value string) string {
	body := " " + key + "=" + value + "\n"
	n := len(body) + len(strconv.Itoa(len(body)))
	if len(strconv.Itoa(n)) > len(strconv.Itoa(len(body))) {
		n++
	}
	return strconv.Itoa(n) + body
}

// cut takes bytes off the end.
func (a *rawArchive) cut(n int) *rawArchive {
	*a = (*a)[:len(*a)-n]
	return a
}
