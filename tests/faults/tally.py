"""Counts, and says what failed."""

import time

SHOWN = 8


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.start = time.monotonic()

    def suite(self, title):
        print(f"\n{title}", flush=True)

    def add(self, title, outcomes, figures=""):
        """One line for a group of cases, and one for each of the first that failed."""
        bad = [outcome for outcome in outcomes if outcome.problem]
        self.passed += len(outcomes) - len(bad)
        self.failed += len(bad)
        print(f"  {'FAIL' if bad else 'ok  '} {title}: {len(outcomes) - len(bad)}/{len(outcomes)}"
              + (f" ({figures})" if figures else ""), flush=True)
        for outcome in bad[:SHOWN]:
            print(f"       {outcome.case}: {outcome.problem.rstrip()}")
        if len(bad) > SHOWN:
            print(f"       and {len(bad) - SHOWN} more")

    def note(self, text):
        print(f"  {text}", flush=True)

    def finish(self):
        print(f"\n{time.monotonic() - self.start:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0
