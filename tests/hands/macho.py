"""What a Mac asks of a binary before it runs it, read from the file: no Mac is at hand.

An unsigned or wrongly signed arm64 binary is killed at its start, so each page is hashed against the signature's CodeDirectory.
"""

import hashlib
import struct

CPUS = {"x86_64": 0x01000007, "aarch64": 0x0100000C}
EXECUTE, PIE = 2, 0x200000
DYLIBS = (0xC, 0x80000018, 0x8000001F)  # LC_LOAD_DYLIB, weak, re-exported
SIGNATURE, MAIN, RPATH = 0x1D, 0x80000028, 0x8000001C
# The oldest system it runs on: of a platform, and as old linkers say it of macOS.
BUILD_VERSION, VERSION_MIN = 0x32, 0x24
MACOS = 1
# The oldest that Rust's standard library supports.
OLDEST = {"x86_64": (10, 12), "aarch64": (11, 0)}
# There is no file of these on a Mac since macOS 11, and they are there.
LIBRARIES = {"/usr/lib/libSystem.B.dylib", "/usr/lib/libiconv.2.dylib", "/usr/lib/libcharset.1.dylib"}
# Blobs of a signature are big-endian, unlike all else.
SUPER_BLOB, CODE_DIRECTORY = 0xFADE0CC0, 0xFADE0C02
ADHOC, SHA256 = 2, 2


def commands(data):
    """(cputype, filetype, flags) and the load commands, as pairs of a number and its bytes."""
    magic, cpu, _, kind, count, _, flags, _ = struct.unpack_from("<8I", data)
    assert magic == 0xFEEDFACF, "no 64-bit Mach-O"
    found, at = [], 32
    for _ in range(count):
        number, size = struct.unpack_from("<2I", data, at)
        found.append((number, data[at : at + size]))
        at += size
    return (cpu, kind, flags), found


def text(command):
    """The string whose offset is the first field of a command."""
    return command[struct.unpack_from("<I", command, 8)[0] :].split(b"\0")[0].decode()


def signature(data, start, size):
    """What is wrong with the signature there: nothing when every page has the hash that it says."""
    magic, _, count = struct.unpack_from(">3I", data, start)
    assert magic == SUPER_BLOB, "the signature is no SuperBlob"
    wrong = []
    places = [struct.unpack_from(">2I", data, start + 12 + 8 * n)[1] for n in range(count)]
    directories = [start + p for p in places if struct.unpack_from(">I", data, start + p)[0] == CODE_DIRECTORY]
    if not directories:
        wrong.append("it has no CodeDirectory")
    for at in directories:
        _, _, _, flags, hashes, _, special, slots, limit = struct.unpack_from(">9I", data, at)
        width, algorithm, _, shift = struct.unpack_from("4B", data, at + 36)
        if not flags & ADHOC:
            wrong.append("it is not ad hoc")
        if (width, algorithm) != (32, SHA256):
            wrong.append(f"its hashes are of type {algorithm}")
        # What comes before the signature is signed, and nothing comes behind it.
        if limit != start or start + size != len(data):
            wrong.append(f"it covers {limit} bytes and stands at {start} to {start + size} of {len(data)}")
        page = 1 << shift
        if slots != -(-limit // page):
            wrong.append(f"{slots} hashes for {limit} bytes")
        for slot in range(slots):
            told = data[at + hashes + slot * width :][:width]
            if hashlib.sha256(data[slot * page : min((slot + 1) * page, limit)]).digest() != told:
                wrong.append(f"page {slot} has another hash")
    return wrong


def oldest(found):
    """The (major, minor) of the macOS that it needs."""
    versions = [struct.unpack_from("<I", command, 8)[0] for number, command in found if number == VERSION_MIN]
    platforms = [struct.unpack_from("<2I", command, 8) for number, command in found if number == BUILD_VERSION]
    versions += [version for platform, version in platforms if platform == MACOS]
    return [(version >> 16, version >> 8 & 255) for version in versions]


def problems(data, machine):
    """Why a Mac of this machine (`x86_64`, `aarch64`) would not run it."""
    (cpu, kind, flags), found = commands(data)
    numbers = [number for number, _ in found]
    wrong = []
    if cpu != CPUS[machine] or kind != EXECUTE or not flags & PIE:
        wrong.append(f"not a position-independent program for {machine}")
    if MAIN not in numbers:
        wrong.append("it has no entry point")
    if RPATH in numbers:
        wrong.append("it looks for libraries where it was linked")
    libraries = {text(command) for number, command in found if number in DYLIBS}
    wrong += [f"it needs {library}" for library in sorted(libraries - LIBRARIES)]
    if oldest(found) != [OLDEST[machine]]:
        wrong.append(f"it is for macOS {oldest(found)}, and Rust for {OLDEST[machine]}")
    signatures = [struct.unpack_from("<2I", command, 8) for number, command in found if number == SIGNATURE]
    # Intel's Macs run what is not signed.
    if not signatures and machine == "aarch64":
        wrong.append("it is not signed")
    for start, size in signatures:
        wrong += signature(data, start, size)
    return wrong
