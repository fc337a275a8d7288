package corpus

// Ending is a way for an archive to end other than with two zero blocks, or to go
// on behind them.
type Ending struct {
	Name  string
	Apply func(archive []byte) []byte
}

const block = 512

// Endings change an archive as Go writes it: the last two blocks are zero.
func Endings() []Ending {
	return []Ending{
		{"padded-to-10240", func(a []byte) []byte { return append(a, make([]byte, (20*block-len(a)%(20*block))%(20*block))...) }},
		{"no-end-blocks", func(a []byte) []byte { return a[:len(a)-2*block] }},
		{"one-end-block", func(a []byte) []byte { return a[:len(a)-block] }},
		{"one-zero-byte-more", func(a []byte) []byte { return append(a, 0) }},
		{"garbage-behind-the-end", func(a []byte) []byte { return append(a, noise(seeded(20), 3000)...) }},
		{"second-archive-behind", func(a []byte) []byte { return append(a, a...) }},
		{"meta-entry-last", func(a []byte) []byte {
			return *(*rawArchive)(&a).cut(2*block).meta('x', record("path", "of no entry"))
		}},
		{"megabyte-of-zeros", func(a []byte) []byte { return append(a, make([]byte, 1<<20)...) }},
	}
}
