"""The calls that can change a file system, their numbers, and a seccomp filter that reports them.

A call concerns us when it writes: reads, and openings for reading, never leave the kernel's fast path.
"""

import ctypes
import os
import platform
import socket
import struct

WRITING_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# Per call: where the thing it acts on stands. fd=N: argument N is a descriptor; path=(D, P): argument P
# is a path relative to the directory descriptor D (None: the working directory); to=(D, P): the new name
# of a rename or link; flags=N: argument N is an open's flags.
CALLS = {
    "write": dict(fd=0), "pwrite64": dict(fd=0), "writev": dict(fd=0), "pwritev": dict(fd=0),
    "pwritev2": dict(fd=0), "sendfile": dict(fd=0), "copy_file_range": dict(fd=2),
    "open": dict(path=(None, 0), flags=1), "creat": dict(path=(None, 0)),
    "openat": dict(path=(0, 1), flags=2), "openat2": dict(path=(0, 1)),
    "rename": dict(path=(None, 0), to=(None, 1)),
    "renameat": dict(path=(0, 1), to=(2, 3)), "renameat2": dict(path=(0, 1), to=(2, 3)),
    "link": dict(path=(None, 0), to=(None, 1)), "linkat": dict(path=(0, 1), to=(2, 3)),
    "symlink": dict(path=(None, 1)), "symlinkat": dict(path=(1, 2)),
    "unlink": dict(path=(None, 0)), "unlinkat": dict(path=(0, 1)),
    "mkdir": dict(path=(None, 0)), "mkdirat": dict(path=(0, 1)), "rmdir": dict(path=(None, 0)),
    "truncate": dict(path=(None, 0)), "ftruncate": dict(fd=0), "fallocate": dict(fd=0),
    "chmod": dict(path=(None, 0)), "fchmod": dict(fd=0), "fchmodat": dict(path=(0, 1)),
    "chown": dict(path=(None, 0)), "lchown": dict(path=(None, 0)), "fchown": dict(fd=0),
    "fchownat": dict(path=(0, 1)), "utimensat": dict(path=(0, 1)),
    "fsync": dict(fd=0), "fdatasync": dict(fd=0), "sync_file_range": dict(fd=0), "syncfs": dict(fd=0),
    # Changes nothing, but can fail in ways that matter.
    "flock": dict(fd=0),
}

# Audit architecture, number of seccomp(2), numbers of the calls above.
MACHINES = {
    "x86_64": (0xC000003E, 317, {
        "write": 1, "open": 2, "pwrite64": 18, "writev": 20, "sendfile": 40, "flock": 73, "fsync": 74,
        "fdatasync": 75, "truncate": 76, "ftruncate": 77, "rename": 82, "mkdir": 83, "rmdir": 84,
        "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90, "fchmod": 91, "chown": 92,
        "fchown": 93, "lchown": 94, "openat": 257, "mkdirat": 258, "fchownat": 260, "unlinkat": 263,
        "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "sync_file_range": 277,
        "utimensat": 280, "fallocate": 285, "pwritev": 296, "syncfs": 306, "renameat2": 316,
        "copy_file_range": 326, "pwritev2": 328, "openat2": 437,
    }),
    "aarch64": (0xC00000B7, 277, {
        "flock": 32, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38,
        "truncate": 45, "ftruncate": 46, "fallocate": 47, "fchmod": 52, "fchmodat": 53, "fchownat": 54,
        "fchown": 55, "openat": 56, "write": 64, "writev": 66, "pwrite64": 68, "pwritev": 70,
        "sendfile": 71, "fsync": 82, "fdatasync": 83, "sync_file_range": 84, "utimensat": 88,
        "syncfs": 267, "renameat2": 276, "copy_file_range": 285, "pwritev2": 287, "openat2": 437,
    }),
}

if platform.machine() not in MACHINES:
    raise SystemExit(f"faults: no table of system calls for {platform.machine()}")
ARCHITECTURE, SECCOMP, NUMBERS = MACHINES[platform.machine()]
NAMES = {number: name for name, number in NUMBERS.items()}

LIBC = ctypes.CDLL(None, use_errno=True)

# BPF operations and seccomp constants (linux/bpf_common.h, linux/seccomp.h).
LOAD, EQUAL, GREATER, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06
NOTIFY, ALLOW = 0x7FC00000, 0x7FFF0000
SET_MODE_FILTER, NEW_LISTENER = 1, 1 << 3
PR_SET_NO_NEW_PRIVS = 38


def _argument(number):
    return 16 + 8 * number


def _program():
    """Standard streams and openings for reading are let through unseen."""
    code = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, ARCHITECTURE), (RETURN, 0, 0, ALLOW), (LOAD, 0, 0, 0)]
    for name, number in NUMBERS.items():
        where = CALLS[name]
        if name == "write":
            code += [(EQUAL, 0, 4, number), (LOAD, 0, 0, _argument(0)), (GREATER, 0, 1, 2),
                     (RETURN, 0, 0, NOTIFY), (RETURN, 0, 0, ALLOW)]
        elif "flags" in where:
            code += [(EQUAL, 0, 4, number), (LOAD, 0, 0, _argument(where["flags"])),
                     (ANY_BIT, 0, 1, WRITING_FLAGS), (RETURN, 0, 0, NOTIFY), (RETURN, 0, 0, ALLOW)]
        else:
            code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, NOTIFY)]
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("HBBI", *line) for line in code), len(code)


PROGRAM, LENGTH = _program()


class _Filter(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("code", ctypes.c_char_p)]


def install(channel: socket.socket):
    """In the child, before exec: installs the filter and sends its listener to the parent."""
    if LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")
    program = _Filter(LENGTH, PROGRAM)
    listener = LIBC.syscall(SECCOMP, SET_MODE_FILTER, NEW_LISTENER, ctypes.byref(program))
    if listener < 0:
        raise OSError(ctypes.get_errno(), "seccomp with a listener (Linux 5.5 or later)")
    socket.send_fds(channel, [b"."], [listener])
