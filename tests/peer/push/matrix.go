package push

// Which combinations do less than everything, and why. Every combination is run; one
// that is not named here must deliver the whole image with every index found.

// Cell is one combination.
type Cell struct {
	fixture   Fixture
	form      Form
	tool      string
	referrers bool // the registry has the referrers API
	oldSkopeo bool // the tool is a skopeo before 1.15
}

// Sight is whether a consumer of SOCI v1 sees the index.
type Sight int

const (
	seen   Sight = iota
	unseen       // it is pushed, but nothing leads to it
	open         // either may happen
)

// Outcome is what a push must lead to.
type Outcome struct {
	// fails: the tool must end with an error with this text.
	fails string
	// altered: the image manifests of the layout do not arrive, the tool makes others.
	altered bool
	// rebuilt: the index behind the tag has another digest, the same children.
	rebuilt bool
	// listRebuilt: the same for the lists sha256-<hex>.
	listRebuilt bool
	v1          Sight
	why         []string
}

type exception struct {
	why  string
	when func(Cell) bool
	then func(*Outcome)
}

var exceptions = []exception{
	{
		why:  "skopeo before 1.15 drops artifactType from descriptors: the index gets another digest; v2 does not need the member, nor does a registry with the API",
		when: func(c Cell) bool { return c.oldSkopeo && !c.form.tagged },
		then: func(o *Outcome) { o.rebuilt = true },
	},
	{
		why:  "the same for the pushed lists",
		when: func(c Cell) bool { return c.oldSkopeo && c.form.tagged },
		then: func(o *Outcome) { o.listRebuilt = true },
	},
	{
		why:  "without the API the consumer filters the list by artifactType, which that skopeo dropped",
		when: func(c Cell) bool { return c.oldSkopeo && c.form.tagged && !c.referrers },
		then: func(o *Outcome) { o.v1 = unseen },
	},
	{
		why: "skopeo and imagetools write no referrers lists of their own: a nested v1 index is pushed but not found without the API",
		when: func(c Cell) bool {
			return (c.tool == skopeo || c.tool == imagetools) && c.form.v1 && !c.form.tagged && !c.referrers
		},
		then: func(o *Outcome) { o.v1 = unseen },
	},
	{
		why:  "without --preserve-digests, which that skopeo refuses here, it compresses layers: other image manifests, no index fits",
		when: func(c Cell) bool { return c.oldSkopeo && c.fixture.uncompressed },
		then: func(o *Outcome) { o.altered = true },
	},
	{
		why:  "that skopeo does not see entries of Docker media type in index.json; only the tagged form leaves them there",
		when: func(c Cell) bool { return c.oldSkopeo && c.fixture.docker && c.form.tagged },
		then: func(o *Outcome) { o.fails = "no descriptor found for reference" },
	},
	{
		why: "crane updates a fallback list from parallel uploads: with attestations and a nested v1 index of the same subject an entry gets lost now and then",
		when: func(c Cell) bool {
			return c.tool == crane && c.fixture.attested && c.form.v1 && !c.form.tagged && !c.referrers
		},
		then: func(o *Outcome) { o.v1 = open },
	},
}

// pushesLists: the tool follows no referrers, so each list sha256-<hex> is pushed as a tag.
func (c Cell) pushesLists() bool {
	return c.form.tagged && (c.tool == skopeo || c.tool == crane || c.tool == imagetools)
}

// outcome is what a combination must lead to.
func (c Cell) outcome() Outcome {
	var o Outcome
	for _, e := range exceptions {
		if e.when(c) {
			e.then(&o)
			o.why = append(o.why, e.why)
		}
	}
	return o
}
