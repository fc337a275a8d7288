package corpus

import (
	"archive/tar"
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// RandomTar makes an archive from a seed. About two thirds can be read: the other
// mutations are meant to hit every rule of a tar reader, also the ones for refusing.
func RandomTar(seed uint64) []byte {
	r := seeded(100, seed)
	var a []byte
	if r.IntN(5) < 2 {
		a = byGo(r)
	} else {
		a = byHand(r)
	}
	return ending(r, a)
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// odds is true once in n times.
func odds(r *rand.Rand, n int) bool { return r.IntN(n) == 0 }

func ending(r *rand.Rand, a []byte) []byte {
	switch r.IntN(14) {
	case 0: // no end blocks
	case 1:
		a = append(a, make([]byte, block)...)
	case 2:
		a = append(a, make([]byte, block+r.IntN(block))...)
	case 3:
		a = append(append(a, make([]byte, block)...), noise(r, block)...)
	case 4:
		a = append(append(a, make([]byte, 2*block)...), noise(r, r.IntN(3000))...)
	case 5:
		a = append(a, make([]byte, r.IntN(40)*block)...)
	case 6:
		a = a[:r.IntN(len(a)+1)]
	default:
		a = append(a, make([]byte, 2*block)...)
	}
	return a
}

var randomNames = []string{"a", "b", "dir/", "dir/f", "./a", "/abs", "a//b", "../up", "dir/sub/", "dir/sub/x", ".wh.a",
	"ü", "\xff\xfe", "with space", "new\nline", "dir", strings.Repeat("n", 99), strings.Repeat("n", 100), strings.Repeat("p/", 70) + "q"}

// byGo writes with archive/tar, then changes some headers.
func byGo(r *rand.Rand) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	format := pick(r, tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU, tar.FormatUnknown)
	for range r.IntN(6) {
		h := &tar.Header{
			Typeflag: pick[byte](r, '0', '0', '0', '1', '2', '3', '4', '5', '6'),
			Name:     pick(r, randomNames...), Linkname: pick(r, "", "a", "dir/f", "a"),
			Mode: int64(r.IntN(0o10000)), Uid: r.IntN(3000000), Gid: r.IntN(3000),
			Uname: pick(r, "", "root", "ünï"), Gname: pick(r, "", "wheel"),
			ModTime: time.Unix(r.Int64N(4e9)-1e8, pick[int64](r, 0, 0, 500000000, 123456789)), Format: format,
		}
		var data []byte
		if h.Typeflag == '0' {
			data = prose(r, r.IntN(2500))
			h.Size = int64(len(data))
		}
		if odds(r, 4) {
			h.PAXRecords = map[string]string{"SCHILY.xattr.user.k": pick(r, "v", "", "two\nlines", "\x00\x01"), "VENDOR.x": "y"}
		}
		if w.WriteHeader(h) != nil {
			continue // does not fit the format
		}
		// The writer holds on to nothing: a short write only shows in Close, which is not called.
		_, _ = w.Write(data)
	}
	_ = w.Flush()
	a := b.Bytes()
	a = append(a, make([]byte, (block-len(a)%block)%block)...)
	for range pick(r, 0, 0, 1, 1, 2) {
		mutateSomeHeader(r, a)
	}
	return a
}

func mutateSomeHeader(r *rand.Rand, a []byte) {
	var headers []int
	for at := 0; at+block <= len(a); at += block {
		if string(a[at+257:at+262]) == "ustar" {
			headers = append(headers, at)
		}
	}
	if len(headers) == 0 {
		return
	}
	h := (*rawHeader)(a[pick(r, headers...):])
	mutate(r, h)
	if !odds(r, 15) {
		h.sum()
	}
}

// byHand writes blocks that need not fit each other.
func byHand(r *rand.Rand) []byte {
	a := new(rawArchive)
	for range r.IntN(5) {
		for range pick(r, 0, 0, 0, 1, 1, 2) {
			randomMeta(r, a)
		}
		data := string(prose(r, r.IntN(1500)))
		kind := pick[byte](r, '0', '0', '0', 0, '1', '2', '3', '4', '5', '6')
		if kind != '0' && kind != 0 {
			data = ""
		}
		h := newRaw(kind, pick(r, randomNames...), len(data))
		h.text(fieldMagic, pick(r, magicUSTAR, magicUSTAR, magicGNU, magicV7))
		if kind == '1' {
			h.text(fieldLink, pick(r, "a", "a", "b", "dir/f"))
		}
		for range pick(r, 0, 0, 1, 1, 2) {
			mutate(r, h)
		}
		a.entry(h, data)
	}
	return *a
}

// mutate changes one field. Some values are as good as before, some are not.
func mutate(r *rand.Rand, h *rawHeader) {
	number := pick(r, fieldMode, fieldUID, fieldGID, fieldTime, fieldMajor, fieldMinor)
	switch r.IntN(16) {
	case 0, 1, 2:
		mutateNumber(r, h, number)
	case 3:
		h.text(number, pick(r, "", "       ", "12", "  12 ", "7777777", "12\x003", "8", "-1", "0x1", "777 \x00"))
	case 4:
		if k := h[fieldType.at]; k != '0' && k != 0 {
			mutateNumber(r, h, fieldSize) // where no data follows, any size is read
		}
	case 5:
		if odds(r, 4) {
			mutateNumber(r, h, fieldSize)
		}
	case 6:
		h.text(fieldName, pick(r, randomNames...))
	case 7:
		h.text(fieldLink, pick(r, "a", "b", "", "dir/", strings.Repeat("l", 100)))
	case 8:
		h.text(pick(r, fieldUser, fieldGroup), pick(r, "", "root", "\xff", strings.Repeat("u", 32)))
	case 9:
		h[fieldType.at] = pick[byte](r, '0', 0, '1', '2', '3', '4', '5', '6', '7', 'S', 'g', 'V', 'x', 'L', 'K', 'D', 'N')
	case 10:
		h.text(fieldMagic, pick(r, magicUSTAR, magicGNU, magicV7, "ustar\x00\x00\x00", "ustar  1", "USTAR\x0000"))
	case 11:
		h.text(fieldPrefix, pick(r, "", "prefix", "\xc3\xa9", strings.Repeat("q", 155), "00000001234\x0000000004321"))
	case 12:
		h.text(fieldTail, pick(r, "", "tar\x00", "\x00\x00\x00\x00\x00\x00\x00\x00tar\x00"))
	case 13:
		h.text(fieldMagic, magicUSTAR).text(fieldTail, "\x00\x00\x00\x00\x00\x00\x00\x00tar\x00")
		h.text(rawField{476, 12}, pick(r, "", "00000001234", "x")).text(rawField{488, 12}, pick(r, "", "00000001234 "))
	case 14:
		h[r.IntN(block)] = byte(r.Uint32())
	case 15:
		h.octal(number, int64(r.IntN(1<<20)))
	}
}

func mutateNumber(r *rand.Rand, h *rawHeader, f rawField) {
	n := pick[int64](r, 0, 1, -1, 511, 513, 1<<21, 1<<31, 1<<32-1, 1<<32, 1<<40, -1<<33, 1<<62, -62167219200, 253402300799, 253402300800)
	h.binary(f, n)
	if odds(r, 6) {
		copy(h[f.at:], noise(r, f.length))
	}
}

// randomMeta writes an x, L or K header, or rarely another.
func randomMeta(r *rand.Rand, a *rawArchive) {
	kind := pick[byte](r, 'x', 'x', 'x', 'x', 'L', 'K')
	if odds(r, 25) {
		kind = 'g'
	}
	if kind == 'L' || kind == 'K' {
		a.meta(kind, pick(r, "long/"+strings.Repeat("n", 120)+"\x00", "short\x00", "no terminator", "", "a\x00b", "dir/long/\x00", "a\x00"))
		return
	}
	var payload string
	for range 1 + r.IntN(4) {
		payload += randomRecord(r)
	}
	if odds(r, 30) {
		payload = pick(r, "garbage", "5 a=\n", "3\n", payload+"x", "11 path=abc", " 9 a=b\n", "+9 a=bcd\n", "9 a=bcdef\n", "10 =value\n", "")
	}
	a.meta(kind, payload)
}

func randomRecord(r *rand.Rand) string {
	key := pick(r, "path", "linkpath", "mtime", "mtime", "atime", "ctime", "uid", "gid", "size", "uname", "gname", "comment",
		"SCHILY.xattr.user.a", "SCHILY.xattr.user.b", "SCHILY.xattr.", "LIBARCHIVE.xattr.x", "hdrcharset", "GNU.sparse.major", "GNU.sparse.name")
	var value string
	switch key {
	case "mtime", "atime", "ctime":
		value = pick(r, "1700000000", "1700000000.5", "-1.5", "0.000000001", "1.0000000019", "-0.5", ".5", "5.", "1e3", "", "253402300800",
			"99999999999999999999", "1.2.3", "+5", "-62167219200.1", "1700000000.1000", fmt.Sprint(r.Int64N(1<<34)))
	case "uid", "gid":
		value = pick(r, "0", "1000", "4294967295", "4294967296", "-2", "", "x", "007", fmt.Sprint(r.Int64N(1<<31)))
	case "size":
		value = pick(r, "", "0", "-1", "abc", "3")
		if !odds(r, 5) {
			return record("comment", "no size")
		}
	case "path", "linkpath", "uname", "gname":
		value = pick(r, append(randomNames, "", "nul\x00byte", "dir/from-record/")...)
	case "GNU.sparse.major", "GNU.sparse.name":
		if !odds(r, 6) {
			return record("comment", "not sparse")
		}
		value = pick(r, "1", "0", "2", "name")
	default:
		value = pick(r, "", "v", "a=b", "two\nlines", "\x00\xff", strings.Repeat("long ", 50))
	}
	return record(key, value)
}
