package main

import (
	"fmt"
	"math/rand"
	"sort"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A made-up server whose answers are right by construction: everything takes effect at one moment of its own. What it
// leaves must be accepted, whatever replies were lost and whatever was sent again; with a fault put in, rejected.

type simulation struct {
	random *rand.Rand
	events []event
	order  int
	store  map[string]Entry
	stamp  int
	told   []string // versionstamps that some client was told of, for checks
	isTold map[string]bool
	out    history
}

type event struct {
	time  int64
	order int
	run   func()
}

const simEnd = 1_000_000

var simKeys = []string{"g0/0", "g0/1", "g0/2", "g1/0", "g1/1", "g1/2"}

func (s *simulation) after(n int64) int64 { return 1 + s.random.Int63n(n) }

func (s *simulation) when(time int64, run func()) {
	s.events = append(s.events, event{time, s.order, run})
	s.order++
}

func (s *simulation) now(key string) Entry {
	if e, there := s.store[key]; there {
		return e
	}
	return Entry{Key: key}
}

func (s *simulation) some() []string {
	var keys []string
	for _, i := range s.random.Perm(len(simKeys))[:1+s.random.Intn(3)] {
		keys = append(keys, simKeys[i])
	}
	return keys
}

// attempt does a write if its checks hold; gives the versionstamp or the failed checks.
func (s *simulation) attempt(r *Record) (string, []int) {
	var failed []int
	for i, c := range r.Checks {
		if s.now(c[0]).Stamp != c[1] {
			failed = append(failed, i)
		}
	}
	if failed != nil {
		return "", failed
	}
	s.stamp++
	stamp := fmt.Sprintf("%016d0000", s.stamp)
	for _, m := range r.Mutations {
		switch m[0] {
		case "set":
			s.store[m[1]] = Entry{m[1], "=" + m[2], stamp}
		case "delete":
			delete(s.store, m[1])
		case "sum":
			amount, _ := strconv.ParseUint(m[2], 10, 64)
			if e, there := s.store[m[1]]; there {
				before, _ := strconv.ParseUint(e.Value[1:], 10, 64)
				amount += before
			}
			s.store[m[1]] = Entry{m[1], "#" + strconv.FormatUint(amount, 10), stamp}
		}
	}
	return stamp, nil
}

func (s *simulation) tell(stamp string) {
	if stamp != "" && !s.isTold[stamp] {
		s.isTold[stamp] = true
		s.told = append(s.told, stamp)
	}
}

func (s *simulation) newWrite(client, n int) *Record {
	r := &Record{Kind: "write", Client: client, Sends: 1}
	for i, key := range s.some() {
		switch {
		case s.random.Intn(4) == 0:
			r.Mutations = append(r.Mutations, []string{"delete", key})
		case key[len(key)-1] == '0':
			r.Mutations = append(r.Mutations, []string{"sum", key, strconv.Itoa(1 + s.random.Intn(9))})
		default:
			r.Mutations = append(r.Mutations, []string{"set", key, fmt.Sprintf("%d.%d.%d", client, n, i)})
		}
	}
	if s.random.Intn(2) == 0 {
		for _, key := range s.some() {
			r.Checks = append(r.Checks, [2]string{key, ""}) // the versionstamp is chosen when it is called
		}
	}
	if s.random.Intn(2) == 0 {
		own := fmt.Sprintf("l%02d/%06d", client, n)
		r.Checks = append(r.Checks, [2]string{own, ""})
		r.Mutations = append(r.Mutations, []string{"set", own, fmt.Sprintf("%d.%d.own", client, n)})
	}
	return r
}

func (s *simulation) chooseStamps(r *Record) {
	for i, c := range r.Checks {
		if c[0][0] == 'l' || s.random.Intn(4) == 0 {
			continue
		}
		if now := s.now(c[0]).Stamp; s.random.Intn(3) > 0 && s.isTold[now] {
			r.Checks[i][1] = now
		} else if len(s.told) > 0 {
			r.Checks[i][1] = s.told[s.random.Intn(len(s.told))]
		}
	}
}

// scheduleWrite gives when its client goes on.
func (s *simulation) scheduleWrite(r *Record, call int64, lossy bool) int64 {
	r.Call = call
	s.when(call, func() { s.chooseStamps(r); s.out = append(s.out, r) })
	if !lossy || s.random.Intn(8) > 0 {
		at := call + s.after(30)
		end := at + s.after(30)
		for again := s.random.Intn(12); lossy && again < 2; again++ {
			r.Sends++
			if s.random.Intn(2) == 0 {
				s.when(at, func() { s.attempt(r) })
			}
			at = end + s.after(100)
			end = at + s.after(30)
		}
		s.when(at, func() {
			stamp, failed := s.attempt(r)
			r.Outcome, r.Versionstamp, r.Return = "ok", stamp, &end
			if failed != nil {
				r.Outcome, r.Failed = "failed", failed
				if s.random.Intn(2) == 0 {
					r.Failed = nil
				}
			} else if s.random.Intn(10) == 0 && len(r.Mutations) == 1 && r.Mutations[0][0] == "delete" {
				r.Versionstamp = ""
			}
			s.tell(r.Versionstamp)
		})
		return end + s.after(20)
	}
	r.Outcome = "unknown"
	if s.random.Intn(2) == 0 {
		s.when(call+s.after(1500), func() { s.attempt(r) })
	}
	return call + s.after(60)
}

func (s *simulation) scheduleRead(r *Record, call int64, see func()) int64 {
	at := call + s.after(30)
	end := at + s.after(30)
	r.Call, r.Return = call, &end
	s.when(at, func() { see(); s.out = append(s.out, r) })
	return end + s.after(20)
}

func (s *simulation) listed(r *Record) {
	var keys []string
	for key := range s.store {
		if key >= r.From && key < r.To {
			keys = append(keys, key)
		}
	}
	sort.Strings(keys)
	if r.Reverse {
		sort.Sort(sort.Reverse(sort.StringSlice(keys)))
	}
	if r.Limit > 0 && len(keys) > r.Limit {
		keys = keys[:r.Limit]
	}
	s.see(r, keys)
}

func (s *simulation) see(r *Record, keys []string) {
	for _, key := range keys {
		r.Entries = append(r.Entries, s.now(key))
		s.tell(s.now(key).Stamp)
	}
}

func (s *simulation) client(client, operations int, lossy bool) {
	at := s.after(50)
	for n := 0; n < operations; n++ {
		switch kind := s.random.Intn(10); {
		case kind < 5:
			at = s.scheduleWrite(s.newWrite(client, n), at, lossy)
		case kind < 8:
			r, keys := &Record{Kind: "get", Client: client}, s.some()
			at = s.scheduleRead(r, at, func() { s.see(r, keys) })
		default:
			r := &Record{Kind: "list", Client: client, From: "g0/", To: "g1/2", Limit: s.random.Intn(4), Reverse: s.random.Intn(2) == 0}
			at = s.scheduleRead(r, at, func() { s.listed(r) })
		}
	}
}

func (s *simulation) watch(client, frames int) {
	keys := s.some()
	call := s.after(200)
	at, arrival := call, call
	for number := 0; number < frames; number++ {
		at += s.after(100)
		if arrival < at {
			arrival = at
		}
		arrival += s.after(60)
		came := arrival
		r := &Record{Kind: "frame", Client: client, Number: number, Call: call, Return: &came}
		s.when(at, func() { s.see(r, keys); s.out = append(s.out, r) })
	}
}

// simulate gives a history of so many clients, and of as many watches, with about so many operations and frames of each.
func simulate(seed int64, lossy bool, clients, operations int) history {
	s := &simulation{random: rand.New(rand.NewSource(seed)), store: map[string]Entry{}, isTold: map[string]bool{}}
	for client := 0; client < clients; client++ {
		s.client(client, operations, lossy)
		s.watch(clients+client, operations/2)
	}
	all := &Record{Kind: "list", Client: 2 * clients, From: "a", To: "z", Limit: 1000}
	s.scheduleRead(all, simEnd, func() { s.listed(all) })
	sort.Slice(s.events, func(i, j int) bool {
		a, b := s.events[i], s.events[j]
		return a.time < b.time || a.time == b.time && a.order < b.order
	})
	for _, e := range s.events {
		e.run()
	}
	sort.SliceStable(s.out, func(i, j int) bool { return s.out[i].Call < s.out[j].Call })
	return s.out
}

func TestWhatARightServerLeavesIsAccepted(t *testing.T) {
	for seed := int64(0); seed < 60; seed++ {
		if got := decideText(t, simulate(seed, seed%3 > 0, 6, 50)); got != "accepted" {
			t.Errorf("seed %d: %s", seed, got)
		}
	}
}

func TestDamagedCopiesAreRejected(t *testing.T) {
	done := map[string]int{}
	for seed := int64(0); seed < 6; seed++ {
		h := simulate(seed, seed%2 > 0, 6, 50)
		for _, d := range damages {
			damaged := h.copy()
			if !d.do(damaged) {
				continue
			}
			done[d.kind]++
			result, _, err := decide(damaged, time.Minute)
			if err != nil || result != "rejected" {
				t.Errorf("seed %d: %s: %s %v", seed, d.kind, result, err)
			}
		}
	}
	for _, d := range damages {
		if done[d.kind] == 0 {
			t.Errorf("%s: there was no place for it", d.kind)
		}
	}
}

// The plan leaves out orders that need not be tried. Small histories with any fault show that this decides nothing: with
// all orders tried, the same is accepted and the same rejected.
func TestOrdersThatAreLeftOutDoNotMatter(t *testing.T) {
	results := map[string]int{}
	for seed := int64(0); seed < 400; seed++ {
		h := simulate(seed, true, 3, 5)
		random := rand.New(rand.NewSource(seed))
		for n := random.Intn(4); n > 0; n-- {
			spoil(h, random)
		}
		result, _, err := decide(h, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		p, _ := newPlan(h)
		p.looks, p.needs, p.values = nil, make([]int, len(p.needs)), make([]string, len(p.needs))
		for _, s := range p.steps {
			s.look, s.needs = -1, nil
		}
		all := porcupine.CheckOperationsTimeout(p.model(), p.operations(), time.Minute)
		if all != map[string]porcupine.CheckResult{"accepted": porcupine.Ok, "rejected": porcupine.Illegal}[result] {
			t.Errorf("seed %d: %s, but of all orders: %s", seed, result, all)
		}
		results[result]++
	}
	if results["accepted"] < 50 || results["rejected"] < 50 {
		t.Errorf("too much of one kind: %v", results)
	}
}

// spoil changes something, which may or may not make the history impossible.
func spoil(h history, random *rand.Rand) {
	a, b := h[random.Intn(len(h))], h[random.Intn(len(h))]
	for i := range a.Entries {
		for _, e := range b.Entries {
			if e.Key == a.Entries[i].Key && random.Intn(2) == 0 {
				a.Entries[i] = e
			}
		}
	}
	switch random.Intn(4) {
	case 0:
		a.Versionstamp, b.Versionstamp = b.Versionstamp, a.Versionstamp
	case 1:
		if a.Outcome == "ok" {
			a.Outcome, a.Versionstamp = "failed", ""
		}
	case 2:
		if a.Return != nil {
			end := *a.Return + random.Int63n(300)
			a.Return = &end
		}
	}
}
