package corpus

/*
#cgo LDFLAGS: -lz
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static int start_raw(z_stream *s, int level, int window, int memory, int strategy) {
	memset(s, 0, sizeof *s);
	return deflateInit2(s, level, Z_DEFLATED, -window, memory, strategy);
}

// One call of deflate on memory that stays where it is; gives the bytes written.
static long step(z_stream *s, void *in, unsigned in_len, void *out, unsigned out_len, int flush) {
	s->next_in = in;
	s->avail_in = in_len;
	s->next_out = out;
	s->avail_out = out_len;
	int result = deflate(s, flush);
	if (s->avail_in != 0 || (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)) return -1;
	return out_len - s->avail_out;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// Flush kinds of zlib.
const (
	flushNone    = 0
	flushPartial = 1
	flushSync    = 2
	flushFull    = 3
	flushFinish  = 4
	flushBlock   = 5
)

// deflater is zlib's own deflate with all its settings. The programs reach only a
// few of them: small memory levels make hundreds of blocks that end at any bit,
// and the strategies make block kinds that the levels do not.
type deflater struct {
	stream *C.z_stream
	out    []byte
}

func newDeflater(level, window, memory, strategy int) (*deflater, error) {
	// In C memory: zlib keeps pointers in it.
	s := (*C.z_stream)(C.calloc(1, C.sizeof_z_stream))
	if code := C.start_raw(s, C.int(level), C.int(window), C.int(memory), C.int(strategy)); code != C.Z_OK {
		C.free(unsafe.Pointer(s))
		return nil, fmt.Errorf("deflateInit2: %d", int(code))
	}
	return &deflater{stream: s}, nil
}

func (d *deflater) write(data []byte, flush int) error {
	room := int(C.deflateBound(d.stream, C.ulong(len(data)))) + 1<<20
	out := C.malloc(C.size_t(room))
	defer C.free(out)
	in := C.CBytes(data)
	defer C.free(in)
	n := C.step(d.stream, in, C.uint(len(data)), out, C.uint(room), C.int(flush))
	if n < 0 {
		return fmt.Errorf("deflate failed")
	}
	d.out = append(d.out, C.GoBytes(out, C.int(n))...)
	return nil
}

func (d *deflater) close() []byte {
	C.deflateEnd(d.stream)
	C.free(unsafe.Pointer(d.stream))
	return d.out
}
