# Compress with Python's zlib, flushing as log and network writers do: MODE FROM OUT
import sys
import zlib

mode, source, out = sys.argv[1:]
flush = {"sync": zlib.Z_SYNC_FLUSH, "full": zlib.Z_FULL_FLUSH}[mode]
with open(source, "rb") as f:
    data = f.read()
stream = zlib.compressobj(6, zlib.DEFLATED, 31)
with open(out, "wb") as f:
    for start in range(0, len(data), 10007):
        f.write(stream.compress(data[start : start + 10007]))
        f.write(stream.flush(flush))
    f.write(stream.flush())
