package push

// pullException is a shape for which the rule of TestPullsAsBefore does not hold, and why. The problem
// is asserted: when it is gone the row has to go.
type pullException struct {
	why      string
	fixtures []string
	forms    []string // none: all
	text     string   // in every problem that the row excuses
}

var pullExceptions = []pullException{
	{
		why:      "the tool that made it had written SOCI entries; remove takes these away, too",
		fixtures: []string{"rules-img"},
		forms:    []string{"v2", "v1-nested", "both"},
		text:     "remove:",
	},
}
