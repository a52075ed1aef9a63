package main

import (
	"fmt"
	"sort"
	"strconv"

	"github.com/anishathalye/porcupine"
)

// A plan is a history made ready for the model: keys are numbers in their order, every record has become one or more
// steps with a time each, and every versionstamp that any client was told of has a place among all of them, its slot.
//
// What is concluded beforehand, and why it is sound:
//
//   - The texts of sets are never used twice. So an entry with a text tells which write made it, and under which
//     versionstamp: that write took effect, even if its client never heard so.
//   - Versionstamps grow with every commit; that is part of what is checked. So the commits whose versionstamps are known
//     take effect in that order and in no other, and nothing need be tried.
//   - A write may take effect once for each time that it was sent. One that was answered did so (or, if a check failed, did
//     not) the last time; each time before, it may or may not have. What of this was seen is a step of its own with a slot.
//     The rest is unsure: the model lets it take effect at any moment or never, under a versionstamp that nobody knows,
//     so that no read shows it and no check names it: checks have versionstamps only that some client was told of.
//   - A version of a key, once overwritten or deleted, never comes back. So nothing may overwrite it while there are steps
//     to come that need it: those that read it and those that take effect under a check of it. And it must be made with
//     the value that was read.
//   - A step that only looks, and finds in every world what it must, may as well be taken at once: so no step that was
//     called later is taken before it. (Moved there, it follows all that had ended before its call, since the step that
//     now comes after it was called even later; and it changes nothing.)
//   - A write that sets a key which no other write changes, and checks that it is absent, takes effect at most once; and
//     if that key is absent in a read at the end, after everything was called and answered, it did not before, and
//     will not any more: the server was ended since, so that nothing that was sent is still under way.
type plan struct {
	keys  []string
	ids   map[string]int
	slots []slot // ascending by versionstamp
	steps []*step

	writes   []*write
	changers map[string]int // how many writes change the key
	watches  int
	looks    []*step // those that only look, in the order of their calls

	versions map[version]int // their numbers, from 1 on
	needs    []int           // how many steps need the version of a number
	values   []string        // what some client was told of it, or ""

	tooMany bool // worlds: nothing can be concluded
}

// The place of a versionstamp. `commit` is the step that has it; nil: one that is unsure must have it.
type slot struct {
	stamp  string
	commit *step
	keys   []int // that were seen with it
}

type version struct {
	key   int
	stamp string
}

type write struct {
	id        int
	record    *Record
	checks    []check
	mutations []mutation
	keys      []int // that it checks or changes

	seen map[string]bool // versionstamps under which its texts were seen
}

type check struct {
	key   int
	stamp string
}

type mutation struct {
	kind   string
	key    int
	value  string // set
	amount uint64 // sum
}

func (w *write) changes(key int) bool {
	for _, m := range w.mutations {
		if m.key == key {
			return true
		}
	}
	return false
}

type stepKind int

const (
	getStep    stepKind = iota // also a frame of a watch
	listStep                   // keys from..to
	unsureStep                 // from here on, the write may take effect `unsure` times
	commitStep                 // it takes effect
	failedStep                 // it does not: a check failed
)

type step struct {
	kind      stepKind
	record    *Record
	call, end int64

	entries   []entry
	from, to  int // key numbers; to is exclusive
	watch     int // of a frame, else -1
	write     *write
	slot      int    // commitStep: -1 if the versionstamp is not known
	stamp     string // commitStep: before slots are given
	unsure    int    // unsureStep
	closes    bool   // the last that the write does: what was unsure about it has been or never will be
	afterSlot int    // failedStep: this slot was before
	needs     []int  // numbers of versions
	place     int    // among all steps, in the order of their calls
	look      int    // among those that only look, else -1
}

type entry struct {
	key  int
	cell *cell
}

func newPlan(records []*Record) (*plan, error) {
	p := &plan{ids: map[string]int{}, changers: map[string]int{}}
	p.nameKeys(records)
	if err := p.readWrites(records); err != nil {
		return nil, err
	}
	seenKeys := p.look(records)
	watches := map[[2]int]int{}
	writes := p.writes
	for _, r := range records {
		switch r.Kind {
		case "get":
			p.add(&step{kind: getStep, record: r, entries: p.entries(r), watch: -1})
		case "frame":
			id := [2]int{r.Client, r.Watch}
			if _, known := watches[id]; !known {
				watches[id] = len(watches)
			}
			p.add(&step{kind: getStep, record: r, entries: p.entries(r), watch: watches[id]})
		case "list":
			p.add(&step{kind: listStep, record: r, entries: p.entries(r), watch: -1,
				from: sort.SearchStrings(p.keys, r.From), to: sort.SearchStrings(p.keys, r.To)})
		case "write":
			p.planWrite(writes[0], records)
			writes = writes[1:]
		}
	}
	p.watches = len(watches)
	p.giveSlots(seenKeys)
	p.countNeeds()
	sort.SliceStable(p.steps, func(i, j int) bool { return p.steps[i].call < p.steps[j].call })
	for i, s := range p.steps {
		s.place, s.look = i, -1
		if s.onlyLooks() {
			s.look = len(p.looks)
			p.looks = append(p.looks, s)
		}
	}
	return p, nil
}

func (s *step) onlyLooks() bool {
	return s.kind == getStep || s.kind == listStep || s.kind == failedStep && !s.closes
}

func (p *plan) add(s *step) *step {
	s.call, s.end, s.slot = s.record.Call, s.record.End(), -1
	if s.kind == unsureStep {
		s.end = s.call
	}
	p.steps = append(p.steps, s)
	return s
}

func (p *plan) nameKeys(records []*Record) {
	note := func(key string) {
		if _, known := p.ids[key]; !known {
			p.ids[key] = 0
			p.keys = append(p.keys, key)
		}
	}
	for _, r := range records {
		for _, e := range r.Entries {
			note(e.Key)
		}
		for _, c := range r.Checks {
			note(c[0])
		}
		for _, m := range r.Mutations {
			note(m[1])
		}
	}
	sort.Strings(p.keys)
	for i, key := range p.keys {
		p.ids[key] = i
	}
}

func (p *plan) readWrites(records []*Record) error {
	for _, r := range records {
		if r.Kind != "write" {
			continue
		}
		w := &write{id: len(p.writes), record: r, seen: map[string]bool{}}
		touched := map[int]bool{}
		changed := map[string]bool{}
		for _, c := range r.Checks {
			w.checks = append(w.checks, check{p.ids[c[0]], c[1]})
			touched[p.ids[c[0]]] = true
		}
		for _, m := range r.Mutations {
			out := mutation{kind: m[0], key: p.ids[m[1]]}
			switch m[0] {
			case "set":
				out.value = "=" + m[2]
			case "sum":
				amount, err := strconv.ParseUint(m[2], 10, 64)
				if err != nil {
					return fmt.Errorf("a sum of %q: %v", m[2], r)
				}
				out.amount = amount
			}
			w.mutations = append(w.mutations, out)
			touched[out.key] = true
			changed[m[1]] = true
		}
		for key := range touched {
			w.keys = append(w.keys, key)
		}
		sort.Ints(w.keys)
		for key := range changed {
			p.changers[key]++
		}
		p.writes = append(p.writes, w)
	}
	return nil
}

func (p *plan) entries(r *Record) []entry {
	out := make([]entry, len(r.Entries))
	for i, e := range r.Entries {
		out[i].key = p.ids[e.Key]
		if e.Stamp != "" {
			out[i].cell = &cell{value: e.Value, stamp: e.Stamp}
		}
	}
	return out
}

// look finds out which writes were seen, and gives the keys that were seen with each versionstamp.
func (p *plan) look(records []*Record) map[string][]int {
	owners := map[string]*write{}
	for _, w := range p.writes {
		for _, m := range w.mutations {
			if m.kind == "set" {
				owners[p.keys[m.key]+m.value] = w
			}
		}
	}
	keys := map[string][]int{}
	for _, r := range records {
		for _, e := range r.Entries {
			if e.Stamp == "" {
				continue
			}
			keys[e.Stamp] = append(keys[e.Stamp], p.ids[e.Key])
			if owner := owners[e.Key+e.Value]; owner != nil {
				owner.seen[e.Stamp] = true
			}
		}
	}
	return keys
}

// ownKey is a key that the write sets, checks to be absent, and shares with no other write; or "".
func (p *plan) ownKey(w *write) string {
	for _, c := range w.checks {
		key := p.keys[c.key]
		if c.stamp != "" || p.changers[key] != 1 {
			continue
		}
		var last string
		for _, m := range w.mutations {
			if m.key == c.key {
				last = m.kind
			}
		}
		if last == "set" {
			return key
		}
	}
	return ""
}

// settled says that some read after everything else says of the key what it is.
func (p *plan) settled(key string, records []*Record) bool {
	var quiet int64
	for _, w := range p.writes {
		if w.record.Call > quiet {
			quiet = w.record.Call
		}
		if end := w.record.End(); end != never && end > quiet {
			quiet = end
		}
	}
	for _, r := range records {
		if r.Kind == "list" && r.Call > quiet && r.covers(key) {
			return true
		}
	}
	return false
}

func (p *plan) planWrite(w *write, records []*Record) {
	r := w.record
	var stamps []string // that were seen, without that of the answer
	for stamp := range w.seen {
		if stamp != r.Versionstamp {
			stamps = append(stamps, stamp)
		}
	}
	sort.Strings(stamps)

	may := r.Sends // how often it may have taken effect beside the answered time
	if r.Outcome != "unknown" {
		may--
	}
	own := p.ownKey(w)
	if own != "" && may > 0 {
		may = 1
		if r.Outcome == "ok" {
			may = 0
		}
	}
	answer := r.Versionstamp
	if r.Outcome == "ok" && answer == "" && len(stamps) > 0 {
		answer, stamps = stamps[len(stamps)-1], stamps[:len(stamps)-1]
	}
	// What was seen beyond that gets no step: then nothing explains what was seen, and the history is refused.
	fixed := 0
	for fixed < len(stamps) && fixed < may && (r.Outcome != "ok" || answer == "" || stamps[fixed] < answer) {
		p.add(&step{kind: commitStep, record: r, watch: -1, write: w, stamp: stamps[fixed]})
		fixed++
	}
	unsure := may - fixed
	if own != "" && unsure > 0 && p.settled(own, records) {
		unsure = 0
	}
	if unsure > 0 {
		p.add(&step{kind: unsureStep, record: r, watch: -1, write: w, unsure: unsure})
	}
	switch r.Outcome {
	case "ok":
		p.add(&step{kind: commitStep, record: r, watch: -1, write: w, stamp: answer, closes: unsure > 0})
	case "failed":
		failed := p.add(&step{kind: failedStep, record: r, watch: -1, write: w, closes: unsure > 0})
		if fixed > 0 {
			failed.stamp = stamps[fixed-1]
		}
	}
}

func (p *plan) giveSlots(seenKeys map[string][]int) {
	commits := map[string][]*step{}
	for _, s := range p.steps {
		if s.kind == commitStep && s.stamp != "" {
			commits[s.stamp] = append(commits[s.stamp], s)
		}
	}
	var stamps []string
	for stamp := range commits {
		stamps = append(stamps, stamp)
	}
	for stamp := range seenKeys {
		if commits[stamp] == nil {
			stamps = append(stamps, stamp)
		}
	}
	sort.Strings(stamps)
	place := map[string]int{}
	for _, stamp := range stamps {
		for _, s := range commits[stamp] {
			s.slot = len(p.slots)
			p.slots = append(p.slots, slot{stamp: stamp, commit: s})
		}
		if commits[stamp] == nil {
			p.slots = append(p.slots, slot{stamp: stamp, keys: seenKeys[stamp]})
		}
		place[stamp] = len(p.slots) - 1
	}
	for _, s := range p.steps {
		s.afterSlot = -1
		if s.kind == failedStep && s.stamp != "" {
			s.afterSlot = place[s.stamp]
		}
	}
}

func (p *plan) countNeeds() {
	p.versions = map[version]int{}
	p.needs, p.values = []int{0}, []string{""}
	for _, s := range p.steps {
		need := func(key int, stamp string) {
			id := version{key, stamp}
			if _, known := p.versions[id]; !known {
				p.versions[id] = len(p.needs)
				p.needs = append(p.needs, 0)
				p.values = append(p.values, "")
			}
			s.needs = append(s.needs, p.versions[id])
			p.needs[p.versions[id]]++
		}
		for _, e := range s.entries {
			if e.cell != nil {
				need(e.key, e.cell.stamp)
				p.values[p.versions[version{e.key, e.cell.stamp}]] = e.cell.value
			}
		}
		if s.kind == commitStep {
			for _, c := range s.write.checks {
				if c.stamp != "" {
					need(c.key, c.stamp)
				}
			}
		}
	}
}

// operations gives the steps as Porcupine takes them.
func (p *plan) operations() []porcupine.Operation {
	var out []porcupine.Operation
	for _, s := range p.steps {
		out = append(out, porcupine.Operation{ClientId: s.record.Client, Input: s, Call: s.call, Return: s.end})
	}
	return out
}
