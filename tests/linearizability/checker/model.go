package main

import (
	"strconv"

	"github.com/anishathalye/porcupine"
)

// The model: a store of many keys, on which writes take effect as a whole and reads see everything at one moment.
//
// A state is the set of all worlds that are possible: more than one as long as it is not known which of the writes that
// are unsure took effect. A step that no world allows is not possible; one that some allow leaves those.
type state struct {
	worlds []*World
	frames []int // how many frames of each watch there were
	needs  []int // how many steps to come need the version of a number
	looked looked
	hash   uint64
}

// looked is the set of the steps that only look and were taken; all before `first` were.
type looked struct {
	bits  []uint64
	first int
}

func (l looked) has(i int) bool { return l.bits[i/64]>>(i%64)&1 == 1 }

func (l looked) with(i int) looked {
	l.bits = append([]uint64(nil), l.bits...)
	l.bits[i/64] |= 1 << (i % 64)
	for l.first < 64*len(l.bits) && l.has(l.first) {
		l.first++
	}
	return l
}

const worldsMax = 1 << 15

func (p *plan) model() porcupine.Model {
	return porcupine.Model{
		Init: func() interface{} {
			s := &state{frames: make([]int, p.watches), needs: p.needs}
			s.looked.bits = make([]uint64, len(p.looks)/64+1)
			return s.in([]*World{emptyWorld(len(p.keys))})
		},
		Step: func(from, input, _ interface{}) (bool, interface{}) {
			to := p.take(from.(*state), input.(*step))
			return to != nil, to
		},
		Equal: func(a, b interface{}) bool { return sameState(a.(*state), b.(*state)) },
		Hash:  func(s interface{}) uint64 { return s.(*state).hash },
		DescribeOperation: func(input, _ interface{}) string {
			return input.(*step).String()
		},
		DescribeState: func(s interface{}) string {
			return strconv.Itoa(len(s.(*state).worlds)) + " worlds"
		},
	}
}

func (s *step) String() string {
	switch s.kind {
	case unsureStep:
		return "from here on, may take effect: " + s.record.String()
	case commitStep:
		if s.stamp != "" && s.stamp != s.record.Versionstamp {
			return "takes effect as " + s.stamp + ": " + s.record.String()
		}
	}
	return s.record.String()
}

func sameState(a, b *state) bool {
	if a.hash != b.hash || len(a.worlds) != len(b.worlds) {
		return false
	}
	for _, w := range a.worlds {
		found := false
		for _, v := range b.worlds {
			found = found || sameWorld(w, v)
		}
		if !found {
			return false
		}
	}
	return true // the rest follows from the steps that were taken, which Porcupine compares
}

// in gives the same state with these worlds, without those that another one covers. Nil if there is none.
func (s state) in(worlds []*World) *state {
	if len(worlds) == 0 {
		return nil
	}
	alike := map[uint64][]*World{} // by what they hold
	for _, w := range worlds {
		held := w.hash
		for _, u := range w.unsure {
			held ^= hashUnsure(u)
		}
		kept := alike[held][:0]
		covered := false
		for _, other := range alike[held] {
			covered = covered || other.covers(w)
			if covered || !w.covers(other) {
				kept = append(kept, other)
			}
		}
		if !covered {
			kept = append(kept, w)
		}
		alike[held] = kept
	}
	s.worlds, s.hash = nil, 0
	for _, list := range alike {
		s.worlds = append(s.worlds, list...)
		for _, w := range list {
			s.hash ^= mix(w.hash + 1)
		}
	}
	return &s
}

// take gives the state after a step, or nil if the step is not possible.
func (p *plan) take(from *state, s *step) *state {
	if s.watch >= 0 && from.frames[s.watch] != s.record.Number {
		return nil // one before it has yet to come
	}
	to := *from
	if s.look >= 0 {
		to.looked = from.looked.with(s.look)
	}
	if s.watch >= 0 {
		to.frames = append([]int(nil), from.frames...)
		to.frames[s.watch]++
	}
	if len(s.needs) > 0 {
		to.needs = append([]int(nil), from.needs...)
		for _, version := range s.needs {
			to.needs[version]--
		}
	}
	if s.look < 0 || !p.findsEverywhere(from, s) {
		var worlds []*World
		for _, w := range from.worlds {
			if s.kind == unsureStep {
				worlds = append(worlds, w.withUnsure(s.write, s.unsure))
				continue
			}
			for _, v := range p.reachable(w, s, from.needs) {
				if after := p.takeIn(v, s, to.needs); after != nil {
					worlds = append(worlds, after)
				}
			}
		}
		if len(worlds) > worldsMax {
			p.tooMany = true
			return nil
		}
		if len(worlds) == 0 {
			return nil
		}
		to = *to.in(worlds)
	}
	for i := from.looked.first; i < len(p.looks) && p.looks[i].place < s.place; i++ {
		if !from.looked.has(i) && p.findsEverywhere(from, p.looks[i]) {
			return nil // that one comes first
		}
	}
	return &to
}

// findsEverywhere: a step that only looks finds what it must in every world, as it is.
func (p *plan) findsEverywhere(from *state, s *step) bool {
	if s.watch >= 0 && from.frames[s.watch] != s.record.Number {
		return false
	}
	for _, w := range from.worlds {
		if p.takeIn(w, s, nil) == nil {
			return false
		}
	}
	return true
}

// takeIn gives the world after a step, or nil.
func (p *plan) takeIn(w *World, s *step, needs []int) *World {
	switch s.kind {
	case getStep:
		for _, e := range s.entries {
			if !sameCell(w.at(e.key), e.cell) {
				return nil
			}
		}
		return w
	case listStep:
		if !listed(w, s) {
			return nil
		}
		return w
	}
	if s.closes {
		if _, known := w.left(s.write.id); !known {
			return nil // its unsureStep comes first
		}
	}
	after := w
	if s.kind == failedStep {
		if w.next <= s.afterSlot || !failsAsTold(w, s) {
			return nil
		}
	} else {
		stamp := hidden
		if s.slot >= 0 {
			if w.next != s.slot || s.slot > 0 && p.slots[s.slot-1].stamp == s.stamp {
				return nil
			}
			stamp = s.stamp
		}
		if after = p.applied(w, s.write, stamp, needs); after == nil {
			return nil
		}
		if s.slot >= 0 {
			after.setNext(s.slot + 1)
		}
	}
	if s.closes {
		after = after.withUnsure(s.write, -1)
	}
	return after
}

func sameCell(a, b *cell) bool {
	return a == b || a != nil && b != nil && a.value == b.value && a.stamp == b.stamp
}

func listed(w *World, s *step) bool {
	found := 0
	for i := 0; i < s.to-s.from; i++ {
		key := s.from + i
		if s.record.Reverse {
			key = s.to - 1 - i
		}
		c := w.at(key)
		if c == nil {
			continue
		}
		if s.record.Limit > 0 && found == s.record.Limit {
			break
		}
		if found == len(s.entries) || s.entries[found].key != key || !sameCell(s.entries[found].cell, c) {
			return false
		}
		found++
	}
	return found == len(s.entries)
}

func holds(w *World, c check) bool {
	at := w.at(c.key)
	if c.stamp == "" {
		return at == nil
	}
	return at != nil && at.stamp == c.stamp
}

// failsAsTold: exactly the checks fail that the client was told of; or some, if it was told of none.
func failsAsTold(w *World, s *step) bool {
	var failed []int
	for i, c := range s.write.checks {
		if !holds(w, c) {
			failed = append(failed, i)
		}
	}
	told := s.record.Failed
	if told == nil {
		return len(failed) > 0
	}
	if len(failed) != len(told) {
		return false
	}
	for i := range told {
		if told[i] != failed[i] {
			return false
		}
	}
	return true
}

// applied gives the world after a write took effect, or nil if it could not: a check fails, a sum meets a text, what it
// overwrites is needed, or some client was told of another value.
func (p *plan) applied(w *World, wr *write, stamp string, needs []int) *World {
	for _, c := range wr.checks {
		if !holds(w, c) {
			return nil
		}
	}
	for _, m := range wr.mutations {
		if c := w.at(m.key); c != nil && needs[c.version] > 0 {
			return nil
		}
	}
	e := editor{world: w.clone()}
	for _, m := range wr.mutations {
		var value string
		switch m.kind {
		case "set":
			if value = m.value; stamp == hidden {
				value = hiddenText
			}
		case "delete":
			e.set(m.key, nil)
			continue
		case "sum":
			sum := m.amount
			if c := e.world.at(m.key); c != nil {
				before, err := strconv.ParseUint(c.value[1:], 10, 64)
				if c.value[0] != '#' || err != nil {
					return nil
				}
				sum += before
			}
			value = "#" + strconv.FormatUint(sum, 10)
		}
		e.set(m.key, &cell{value, stamp, p.versions[version{m.key, stamp}]})
	}
	for _, m := range wr.mutations {
		if c := e.world.at(m.key); c != nil && c.version > 0 && p.values[c.version] != "" && p.values[c.version] != c.value {
			return nil
		}
	}
	return e.world
}

// reachable gives the worlds that may come of this one before the step, by writes that are unsure. Only those are tried
// that have to do with keys of the step, or with keys of others that are tried: the rest can as well come after it.
func (p *plan) reachable(w *World, s *step, needs []int) []*World {
	chosen := p.relevant(w, s)
	if len(chosen) == 0 {
		return []*World{w}
	}
	found := []*World{w}
	known := map[uint64][]*World{w.hash: {w}}
	note := func(v *World) {
		for _, other := range known[v.hash] {
			if sameWorld(v, other) {
				return
			}
		}
		known[v.hash] = append(known[v.hash], v)
		found = append(found, v)
	}
	for i := 0; i < len(found); i++ {
		if len(found) > worldsMax {
			p.tooMany = true
			return nil
		}
		v := found[i]
		for _, wr := range chosen {
			left, _ := v.left(wr.id)
			if left == 0 {
				continue
			}
			if after := p.applied(v, wr, hidden, needs); after != nil {
				note(after.withUnsure(wr, left-1))
			}
			if v.next == len(p.slots) || p.slots[v.next].commit != nil || !changesAll(wr, p.slots[v.next].keys) {
				continue
			}
			// It may be the one whose versionstamp was seen.
			if after := p.applied(v, wr, p.slots[v.next].stamp, needs); after != nil {
				after.setNext(v.next + 1)
				note(after.withUnsure(wr, left-1))
			}
		}
	}
	return found
}

func changesAll(wr *write, keys []int) bool {
	for _, key := range keys {
		if !wr.changes(key) {
			return false
		}
	}
	return true
}

func (p *plan) relevant(w *World, s *step) []*write {
	var rest []*write
	for _, u := range w.unsure {
		if u.left > 0 {
			rest = append(rest, u.write)
		}
	}
	if len(rest) == 0 || w.next < len(p.slots) && p.slots[w.next].commit == nil {
		return rest
	}
	touched := make([]bool, len(p.keys))
	for _, e := range s.entries {
		touched[e.key] = true
	}
	for key := s.from; key < s.to; key++ {
		touched[key] = true
	}
	if s.write != nil {
		for _, key := range s.write.keys {
			touched[key] = true
		}
	}
	var chosen []*write
	for again := true; again; {
		again = false
		for i := 0; i < len(rest); i++ {
			for _, key := range rest[i].keys {
				if touched[key] {
					for _, key := range rest[i].keys {
						touched[key] = true
					}
					chosen = append(chosen, rest[i])
					rest = append(rest[:i], rest[i+1:]...)
					i--
					again = true
					break
				}
			}
		}
	}
	return chosen
}
