"""Killed anywhere: SIGKILL at every writing call, and in the middle of every write."""

from collections import Counter

import pool
import supervise
from layouts import need
from scenarios import build_all


def run(tally, context):
    tally.suite("Killed at every writing call, then run again")
    scenarios = build_all(context.binary, context.place / "kills")
    kinds, total, pruned = Counter(), 0, 0
    for scenario in scenarios:
        cases = []
        for call in scenario.calls:
            kinds[call.name] += 1
            cases.append((context.binary, scenario, call.number, supervise.KILL))
            if call.name == "write":
                cases.append((context.binary, scenario, call.number, supervise.HALF_KILL))
        names = [f"{action[0]} at call {number}: {scenario.calls[number - 1].label}"
                 for _, _, number, action in cases]
        outcomes = pool.each(killed, cases, names)
        seen = Counter(outcome.value[0] for outcome in outcomes if outcome.value)
        left = sum(1 for outcome in outcomes if outcome.value and outcome.value[1])
        pruned += left
        total += len(cases)
        tally.add(scenario.name, outcomes, f"then old {seen['old']}, new {seen['new']}")
    tally.note(f"kill points: {total} in {len(scenarios)} scenarios; calls: "
               + ", ".join(f"{name} {count}" for name, count in sorted(kinds.items())))
    tally.note(f"kills inside --prune after which superseded blobs stay for good: {pruned}")


def killed(binary, scenario, number, action):
    layout = scenario.layout(pool.here())
    try:
        decide = lambda call, pid: action if call.number == number else supervise.CONTINUE
        result = supervise.run(binary, scenario.arguments, layout, decide)
        need(result.code == -9, f"was not killed: exit {result.code}, {len(result.calls)} calls")
        last = result.calls[-1]
        expected = "new" if result.swapped else "old"
        state = scenario.baseline.check(layout, leftovers=True)
        unchanged = scenario.baseline.old["index.json"].content == scenario.baseline.new["index.json"].content
        need(state == expected or unchanged, f"at {last.label} readers see the {state} layout")
        again = supervise.plain(binary, scenario.arguments, layout)
        need(again.code == 0, lambda: f"the next run failed: {again.stderr}")
        return state, scenario.baseline.settled(layout, state)
    finally:
        scenario.discard(layout)
