package corpus

import (
	"fmt"
	"math/rand/v2"
)

// seeded gives the same numbers for the same words in every run.
func seeded(words ...uint64) *rand.Rand {
	var a, b uint64 = 0x736f6369, 0x6c61796f
	for _, w := range words {
		a, b = b*31+w, a^w
	}
	return rand.New(rand.NewPCG(a, b))
}

// noise does not compress.
func noise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// prose compresses about as text does.
func prose(r *rand.Rand, n int) []byte {
	words := []string{"layer", "span", "index", "offset", "window", "block", "member", "the", "of", "a", "header", "entry"}
	b := make([]byte, 0, n+16)
	for len(b) < n {
		b = fmt.Appendf(b, "%s ", words[r.IntN(len(words))])
		if r.IntN(12) == 0 {
			b = fmt.Appendf(b, "%d\n", r.Uint32())
		}
	}
	return b[:n]
}

// mixed changes its nature every few kilobytes, so that deflate writes blocks of
// all kinds and sizes.
func mixed(r *rand.Rand, n int) []byte {
	b := make([]byte, 0, n)
	for len(b) < n {
		piece := min(n-len(b), 1+r.IntN(48<<10))
		switch r.IntN(4) {
		case 0:
			b = append(b, noise(r, piece)...)
		case 1:
			b = append(b, make([]byte, piece)...)
		default:
			b = append(b, prose(r, piece)...)
		}
	}
	return b
}
