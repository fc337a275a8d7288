"""Runs the program and decides, call by call, what becomes of each writing system call.

Why not `strace -e inject=…:when=N`: strace counts per thread (strace(1): "per syscall and per tracee"),
so the calls of one thread hide those of another, and it cannot do a part of a write. Here the kernel
asks us before each call (seccomp user notification), so calls have one order over all threads, and any
of them can be done, failed, done by half, or be the moment of a kill or of somebody else's change.
`order.py` checks with strace that no writing call is missed.
"""

import ctypes
import fcntl
import os
import re
import select
import socket
import struct
import subprocess
import time
from dataclasses import dataclass, field

from syscalls import CALLS, LIBC, NAMES, install

RECEIVE, SEND = 0xC0502100, 0xC0182101
CONTINUE_FLAG = 1
AT_FDCWD = -100
PIDFD_GETFD = 438
TEMPORARY = re.compile(r"\.soci-layout-[^/]*\.tmp$")

# What can become of a call: ("continue",), ("fail", errno), ("kill",), ("short",) = half of a write is
# done and reported, ("half-kill",) = half of a write is done, then the program is killed, ("lie",) = nothing
# is done, and success is reported.
CONTINUE = ("continue",)
KILL = ("kill",)
SHORT = ("short",)
HALF_KILL = ("half-kill",)
LIE = ("lie",)


def fail(errno):
    return ("fail", errno)


@dataclass
class Call:
    """One writing call; paths are relative to the layout, temporary files' random part left out."""

    number: int
    name: str
    path: str
    to: str
    thread: int
    arguments: tuple

    @property
    def swaps(self):
        return self.name.startswith("rename") and self.to == "index.json"

    @property
    def label(self):
        return f"{self.name} {self.path}" + (f" -> {self.to}" if self.to else "")


@dataclass
class Result:
    code: int
    stdout: str
    stderr: str
    calls: list = field(default_factory=list)

    @property
    def swapped(self):
        """Whether index.json was replaced before the last call."""
        return any(call.swaps for call in self.calls[:-1])


def run(binary, arguments, layout, decide=None, *, cwd=None, locks=False, watch=None, timeout=60, **popen):
    """Runs `binary arguments layout`; `decide(call, pid)` is asked before each writing call inside the layout.

    `watch`: inside this directory instead. `locks`: also about flock. Calls on other files are done without asking.
    """
    ours, theirs = socket.socketpair()
    command = [binary, *arguments, layout]
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, preexec_fn=lambda: install(theirs), **popen)
    theirs.close()
    _, (listener,), _, _ = socket.recv_fds(ours, 1, 1)
    ours.close()
    try:
        watched = os.path.realpath(os.path.join(os.fsencode(cwd or "."), os.fsencode(watch or layout)))
        calls = _serve(process, listener, watched, decide or (lambda call, pid: CONTINUE), locks, timeout)
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
        os.close(listener)
    return Result(process.returncode, stdout.decode(), stderr.decode(), calls)


def _serve(process, listener, layout, decide, locks, timeout):
    calls = []
    deadline = time.monotonic() + timeout
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    while True:
        ready = poll.poll(1000)
        if time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"not finished after {timeout} s")
        if not ready:
            continue
        if not ready[0][1] & select.POLLIN:
            return calls
        notice = bytearray(80)
        try:
            fcntl.ioctl(listener, RECEIVE, notice)
        except FileNotFoundError:
            continue
        identifier, thread, _, number, _, _, *arguments = struct.unpack("=QIIiIQ6Q", notice)
        call = _call(len(calls) + 1, NAMES[number], thread, arguments, layout)
        if call is None or (call.name == "flock" and not locks):
            _answer(listener, identifier, 0, 0, CONTINUE_FLAG)
            continue
        calls.append(call)
        action = decide(call, process.pid)
        if action == CONTINUE:
            done = _answer(listener, identifier, 0, 0, CONTINUE_FLAG)
        elif action[0] == "fail":
            done = _answer(listener, identifier, 0, -action[1], 0)
        elif action == LIE:
            done = _answer(listener, identifier, call.arguments[2] if call.name == "write" else 0, 0, 0)
        elif action == SHORT:
            done = _answer(listener, identifier, _half(process.pid, call), 0, 0)
        else:
            if action == HALF_KILL:
                _half(process.pid, call)
            process.kill()
            process.wait()
            return calls
        if not done:
            calls.pop()  # A signal came in between: the kernel starts the call anew.


def _answer(listener, identifier, value, error, flags):
    try:
        fcntl.ioctl(listener, SEND, struct.pack("=QqiI", identifier, value, error, flags))
        return True
    except FileNotFoundError:
        return False


def _half(pid, call):
    """Does the first half of a write in the program's place and returns its length."""
    descriptor, address, count = call.arguments[:3]
    count = max(1, count // 2)
    pidfd = os.pidfd_open(pid)
    twin = LIBC.syscall(PIDFD_GETFD, pidfd, ctypes.c_int(descriptor), 0)
    os.close(pidfd)
    if twin < 0:
        raise OSError(ctypes.get_errno(), "pidfd_getfd")
    try:
        return os.write(twin, _memory(pid, address, count))
    finally:
        os.close(twin)


def _memory(pid, address, count):
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(count)


def _call(number, name, thread, arguments, layout):
    where = CALLS[name]
    try:
        if "fd" in where:
            path, to = os.readlink(b"/proc/%d/fd/%d" % (thread, arguments[where["fd"]])), None
        else:
            path = _path(thread, arguments, *where["path"])
            to = _path(thread, arguments, *where["to"]) if "to" in where else None
    except (FileNotFoundError, ProcessLookupError):
        return None
    path, to = _relative(path, layout), _relative(to, layout)
    if path is None and to is None:
        return None
    return Call(number, name, path or "", to or "", thread, tuple(arguments))


def _path(thread, arguments, directory, argument):
    text = b""
    while b"\0" not in text:
        # Never over the end of a page: the next one may not be there.
        at = arguments[argument] + len(text)
        text += _memory(thread, at, 4096 - at % 4096)
    text = text.split(b"\0", 1)[0]
    descriptor = AT_FDCWD if directory is None else ctypes.c_int(arguments[directory] & 0xFFFFFFFF).value
    base = b"cwd" if descriptor == AT_FDCWD else b"fd/%d" % descriptor
    return os.path.join(os.readlink(b"/proc/%d/%s" % (thread, base)), text)


def _relative(path, layout):
    """Inside the layout (also when `blobs` leads elsewhere), else None."""
    if path is None:
        return None
    parent, name = os.path.split(path.removesuffix(b" (deleted)"))
    for root, prefix in ((layout, b""), (os.path.realpath(layout + b"/blobs/sha256"), b"blobs/sha256")):
        full = os.path.join(os.path.realpath(parent), name)
        if full == root or full.startswith(root + b"/"):
            inside = os.path.normpath(os.path.join(prefix, os.path.relpath(full, root))).decode(errors="replace")
            return TEMPORARY.sub("*.tmp", inside)
    return None


def plain(binary, arguments, layout, timeout=60, **popen):
    """Runs without looking at the calls."""
    done = subprocess.run([binary, *arguments, layout], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=timeout, **popen)
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())
