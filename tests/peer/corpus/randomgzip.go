package corpus

import (
	"compress/flate"
	"math/rand/v2"

	kflate "github.com/klauspost/compress/flate"
)

// RandomGzip packs an archive of about the given size in a way that depends on the
// seed: any number of members, each by a writer of its own with flushes wherever they
// fall. One in eight is damaged afterwards.
func RandomGzip(seed uint64, size int) []byte {
	r := seeded(200, seed)
	a := new(rawArchive)
	for len(*a) < size {
		name := pick(r, "a", "b", "c/d", "e")
		a.file(name, string(mixed(r, 1+r.IntN(max(1, min(size, 200<<10))))))
	}
	rest := a.end()
	members := pick(r, 1, 1, 1, 2, 3, 8, 20)
	var out []byte
	for i := range members {
		n := r.IntN(len(rest) + 1)
		if members > 3 {
			n = min(n, len(rest)/4)
		}
		switch {
		case i == members-1:
			n = len(rest)
		case i > 0 && odds(r, 6), odds(r, 30):
			n = 0
		}
		out = append(out, gzipMember(randomHeader(r), randomDeflate(r, rest[:n]), rest[:n])...)
		rest = rest[n:]
	}
	if odds(r, 12) {
		out = append(out, gzipMember(gzipHeader{}, randomDeflate(r, nil), nil)...)
	}
	return damage(r, out)
}

func damage(r *rand.Rand, b []byte) []byte {
	switch r.IntN(32) {
	case 0:
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	case 1:
		b = b[:r.IntN(len(b))]
	case 2:
		b = append(b, noise(r, 1+r.IntN(30))...)
	case 3:
		b = append(b, make([]byte, 1+r.IntN(600))...)
	}
	return b
}

func randomHeader(r *rand.Rand) gzipHeader {
	h := gzipHeader{OS: byte(r.Uint32()), XFL: byte(r.Uint32())}
	if odds(r, 2) {
		return h
	}
	h.Text, h.Checksum = odds(r, 4), odds(r, 4)
	h.Time = r.Uint32()
	if odds(r, 3) {
		h.Extra = noise(r, pick(r, 0, 1, 6, 300, 65535))
	}
	if odds(r, 3) {
		h.Name = pick(r, "layer.tar", "\xe9\xff", "a b")
	}
	if odds(r, 3) {
		h.Comment = string(prose(r, 1+r.IntN(pick(r, 40, 40, 40, 40, 40, 40, 40, 500, 500, 700))))
	}
	return h
}

// randomDeflate compresses data by one of four writers.
func randomDeflate(r *rand.Rand, data []byte) []byte {
	switch r.IntN(6) {
	case 0:
		return handMade(r, data)
	case 1:
		return throughGo(r, data)
	case 2:
		return throughKlauspost(r, data)
	default:
		return throughZlib(r, data)
	}
}

func throughZlib(r *rand.Rand, data []byte) []byte {
	d, err := newDeflater(r.IntN(10), 9+r.IntN(7), 1+r.IntN(9), r.IntN(5))
	if err != nil {
		panic(err)
	}
	flushes := pick(r, 0, 0, 2, 10)
	pieces(r, data, flushes, func(piece []byte) {
		kind := pick(r, flushNone, flushPartial, flushSync, flushFull, flushBlock)
		if err == nil {
			err = d.write(piece, kind)
		}
	})
	if err == nil {
		err = d.write(nil, flushFinish)
	}
	out := d.close()
	if err != nil {
		panic(err)
	}
	return out
}

// pieces hands data out in some pieces, now and then an empty one.
func pieces(r *rand.Rand, data []byte, count int, use func([]byte)) {
	for range count {
		n := r.IntN(len(data) + 1)
		if odds(r, 8) {
			n = 0
		}
		use(data[:n])
		data = data[n:]
	}
	use(data)
}

func throughGo(r *rand.Rand, data []byte) []byte {
	var out sliceWriter
	w, err := flate.NewWriter(&out, r.IntN(12)-2)
	if err != nil {
		panic(err)
	}
	pieces(r, data, pick(r, 0, 1, 5), func(piece []byte) {
		_, err = w.Write(piece)
		if err == nil && odds(r, 2) {
			err = w.Flush()
		}
		if err != nil {
			panic(err)
		}
	})
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out
}

func throughKlauspost(r *rand.Rand, data []byte) []byte {
	var out sliceWriter
	w, err := kflate.NewWriter(&out, pick(r, -2, 0, 1, 2, 3, 5, 7, 9))
	if err != nil {
		panic(err)
	}
	pieces(r, data, pick(r, 0, 1, 5), func(piece []byte) {
		_, err = w.Write(piece)
		if err == nil && odds(r, 2) {
			err = w.Flush()
		}
		if err != nil {
			panic(err)
		}
	})
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out
}

type sliceWriter []byte

func (s *sliceWriter) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

// handMade is a row of stored and fixed blocks of any length, with empty ones between.
func handMade(r *rand.Rand, data []byte) []byte {
	var d deflateBits
	for len(data) > 0 {
		if odds(r, 4) {
			pick(r, d.fixed, d.stored)(nil, false)
		}
		n := min(len(data), 1+r.IntN(pick(r, 20, 3000, 65535)))
		pick(r, d.fixed, d.stored)(data[:n], false)
		data = data[n:]
	}
	pick(r, d.fixed, d.stored)(nil, true)
	return d.bytes()
}
