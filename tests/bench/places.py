"""Where things are: the repository, the binaries, the data."""

from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BENCH = REPO / "tests" / "bench"
BUILT = REPO / "target" / "release" / "soci-layout"
BIN = REPO / ".work" / "bin"
DATA = REPO / ".work" / "bench"
VENV = DATA / "venv"
RUNS = DATA / "runs"
# A copy, so that a build in between does not change what is measured.
OURS = DATA / "soci-layout"


def data(quick: bool) -> Path:
    """The inputs of --quick are others, so they lie elsewhere."""
    path = DATA / ("quick" if quick else "inputs")
    path.mkdir(parents=True, exist_ok=True)
    return path
