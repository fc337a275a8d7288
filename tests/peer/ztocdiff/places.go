package ztocdiff

import (
	"encoding/binary"
	"fmt"
)

// places lists the checkpoints without their windows, as far as one can read it.
func places(zinfo []byte) (list []string) {
	const head, record = 12, 32785
	for at := head; at+record <= len(zinfo); at += record {
		r := zinfo[at:]
		list = append(list, fmt.Sprintf("in %d, out %d, bits %d", binary.LittleEndian.Uint64(r), binary.LittleEndian.Uint64(r[8:]), r[16]))
	}
	return list
}
