"""The picture of a run: the program on a terminal of its own, and what stands on it at the end."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from xml.sax.saxutils import escape

COLUMNS = 128
COLOURS = {"2": "#98a2b1", "31": "#ff8272", "32": "#8bd17c", "33": "#e6c45f", "34": "#7fb4ff", "36": "#6fd3d3"}
CELL, LINE = 7.83, 18


class Screen:
    """What a terminal shows: a list of lines, each a list of (character, style)."""

    def __init__(self):
        self.lines, self.row, self.column, self.style = [[]], 0, 0, ()

    def down(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append([])

    def put(self, character):
        if self.column == COLUMNS:
            self.down()
            self.column = 0
        line = self.lines[self.row]
        line.extend([(" ", ())] * (self.column + 1 - len(line)))
        line[self.column] = (character, self.style)
        self.column += 1

    def control(self, number, letter):
        if letter == "m":
            self.style = tuple(n for n in (*self.style, *number.split(";")) if n not in ("", "0")) if number not in ("", "0") else ()
        elif letter == "A":
            self.row = max(0, self.row - int(number or 1))
        elif letter == "B":
            self.row = min(len(self.lines) - 1, self.row + int(number or 1))
        elif letter == "K":
            self.lines[self.row] = [] if number == "2" else self.lines[self.row][: self.column]
        elif letter == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        elif letter == "G":
            self.column = int(number or 1) - 1

    def feed(self, text):
        for found in re.finditer(r"\x1b\[\??([0-9;]*)([A-Za-z])|([\r\n])|(.)", text, re.DOTALL):
            number, letter, move, character = found.groups()
            if letter:
                self.control(number, letter)
            elif move == "\r":
                self.column = 0
            elif move == "\n":
                self.down()
            elif character:
                self.put(character)


def run(screen, binary, arguments, place):
    """Types a command, and shows what it says on a terminal."""
    for character in "$ soci-layout " + " ".join(arguments) + "\n":
        screen.style = () if character == "\n" else ("1",)
        screen.feed("\r\n" if character == "\n" else character)
    screen.style = ()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
    env = {"TERM": "xterm-256color", "PATH": "/usr/bin:/bin"}
    process = subprocess.Popen([binary, *arguments], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs, cwd=place, env=env)
    os.close(theirs)
    said = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            piece = b""
        if not piece:
            break
        said += piece
    os.close(ours)
    assert process.wait() == 0, said.decode()
    screen.feed(said.decode())


def spans(line):
    """Neighbouring characters of one style, as tspans."""
    at = 0
    while at < len(line):
        style, begin = line[at][1], at
        while at < len(line) and line[at][1] == style:
            at += 1
        text = escape("".join(character for character, _ in line[begin:at]))
        colour = next((COLOURS[n] for n in style if n in COLOURS), None)
        attributes = (f' fill="{colour}"' if colour else "") + (' font-weight="bold"' if "1" in style else "")
        yield f"<tspan{attributes}>{text}</tspan>"


def picture(binary, place, commands):
    screen = Screen()
    for number, arguments in enumerate(commands):
        if number:
            screen.feed("\r\n")
        run(screen, binary, arguments, place)
    lines = screen.lines
    while lines and not lines[-1]:
        lines.pop()
    width, height = round(COLUMNS * CELL + 32), len(lines) * LINE + 56
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="A run of soci-layout in a terminal">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#1d2026"/>',
        *(f'<circle cx="{20 + 18 * i}" cy="18" r="5.5" fill="{c}"/>' for i, c in enumerate(("#ff5f57", "#febc2e", "#28c840"))),
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="13" fill="#dfe3ea">',
    ]
    for number, line in enumerate(lines):
        if line:
            length = f"{len(line) * CELL:.1f}"
            out.append(f'<text x="16" y="{50 + number * LINE}" xml:space="preserve" textLength="{length}">{"".join(spans(line))}</text>')
    return "\n".join([*out, "</g>", "</svg>"]) + "\n"
