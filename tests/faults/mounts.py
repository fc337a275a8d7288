"""File systems of a case's own, in a mount namespace that ends with the case's process."""

import ctypes
import os

from layouts import Fault
from syscalls import LIBC

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000
# linux/mount.h
READ_ONLY, REMOUNT, BIND, RELATIME, PRIVATE = 1, 32, 4096, 1 << 21, (1 << 18) | (1 << 14)
LEFT_OUT = "SOCI_FAULTS_NO_MOUNT"


class NoMount(Fault):
    """Mounting is not permitted here."""


def wanted():
    return os.environ.get(LEFT_OUT, "") in ("", "0")


def alone(function, *arguments):
    """Calls the function in a child with mounts of its own; what it raises is raised here."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        problem = ""
        try:
            _enter()
            function(*arguments)
        except BaseException as error:  # The parent tells it.
            problem = f"{type(error).__name__}: {error}"
        os.write(writer, problem.encode()[:60000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        problem = pipe.read()
    os.waitpid(child, 0)
    if problem:
        raise Fault(problem)


def _enter():
    """Root gets a mount namespace; others one inside a user namespace in which they may mount."""
    user, group = os.getuid(), os.getgid()
    if user == 0 and LIBC.unshare(CLONE_NEWNS) == 0:
        return _mount(None, "/", None, PRIVATE)
    if LIBC.unshare(CLONE_NEWNS | CLONE_NEWUSER) != 0:
        raise NoMount(f"no mount namespace ({os.strerror(ctypes.get_errno())}); {LEFT_OUT}=1 leaves these cases out")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return _mount(None, "/", None, PRIVATE)


def tmpfs(place, options):
    place.mkdir()
    _mount("none", place, "tmpfs", 0, options)
    return place


def resize(place, options):
    _mount(None, place, None, REMOUNT, options)


def writable(place, yes):
    _mount(None, place, None, REMOUNT | (0 if yes else READ_ONLY))


def bind_read_only(source, place):
    place.mkdir()
    _mount(source, place, None, BIND)
    # Inside a user namespace no restriction of the file system underneath may be dropped.
    flags = os.statvfs(place).f_flag
    kept = flags & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC | os.ST_NOATIME)
    kept |= RELATIME if flags & os.ST_RELATIME else 0
    _mount(None, place, None, REMOUNT | BIND | READ_ONLY | kept)


def _mount(source, place, kind, flags, options=""):
    """mount(2) itself: the command reads options back and sends some that a user namespace refuses."""
    texts = [os.fsencode(text) if text is not None else None for text in (source, place, kind)]
    if LIBC.mount(*texts, ctypes.c_ulong(flags), options.encode()) != 0:
        problem = os.strerror(ctypes.get_errno())
        raise NoMount(f"mounting is not permitted ({problem}); {LEFT_OUT}=1 leaves these cases out")
