package main

// Damaged copies of a history. Each gets one fault that nothing else in the history can explain, so that the copy of a
// good history must be rejected.

type damage struct {
	kind string
	do   func(history) bool // false: there is no place for it
}

type history []*Record

func (h history) copy() history {
	out := make(history, len(h))
	for i, r := range h {
		c := *r
		c.Entries = append([]Entry(nil), r.Entries...)
		out[i] = &c
	}
	return out
}

var damages = []damage{
	{"an acknowledged write is lost", history.loseWrite},
	{"a read is stale", func(h history) bool { return h.makeStale("get") }},
	{"a list is stale", func(h history) bool { return h.makeStale("list") }},
	{"a read sees half an atomic write", func(h history) bool { return h.tear("get") }},
	{"a list sees half an atomic write", func(h history) bool { return h.tear("list") }},
	{"a watch mixes two states", func(h history) bool { return h.tear("frame") }},
	{"a watch goes back", history.turnWatchBack},
	{"a reverse list misses a key", history.missKey},
	{"a write that took effect is called failed", history.callFailed},
	{"a failed write is called successful", history.callSuccessful},
	{"versionstamps against the order in time", history.swapStamps},
	{"the same versionstamp twice", history.repeatStamp},
}

// first calls `try` for all records, from the middle on, until it gives true.
func (h history) first(try func(r *Record) bool) bool {
	for i := range h {
		if try(h[(i+len(h)/2)%len(h)]) {
			return true
		}
	}
	return false
}

func (r *Record) acknowledged() bool {
	return r.Outcome == "ok" && r.Versionstamp != "" && r.Sends == 1
}

// sets gives the text that the write leaves under a key, or "".
func (r *Record) sets(key string) string {
	value := ""
	for _, m := range r.Mutations {
		if m[1] == key && m[0] == "set" {
			value = "=" + m[2]
		} else if m[1] == key {
			value = ""
		}
	}
	return value
}

// writer gives the acknowledged write that made an entry, or nil.
func (h history) writer(e Entry) *Record {
	for _, r := range h {
		if e.Stamp != "" && r.acknowledged() && r.Versionstamp == e.Stamp {
			return r
		}
	}
	return nil
}

// older gives an entry that an acknowledged write made under the key before, or nil.
func (h history) older(e Entry) *Entry {
	for i := len(h) - 1; i >= 0; i-- {
		r := h[i]
		if r.acknowledged() && r.Versionstamp < e.Stamp && r.sets(e.Key) != "" {
			return &Entry{e.Key, r.sets(e.Key), r.Versionstamp}
		}
	}
	return nil
}

// loseWrite: the last list of everything is without an entry that was acknowledged and is never deleted.
func (h history) loseWrite() bool {
	var last *Record
	for _, r := range h {
		if r.Kind == "list" {
			last = r
		}
	}
	if last == nil {
		return false
	}
	for i, e := range last.Entries {
		if w := h.writer(e); w != nil && w.End() < last.Call && h.keeps(e.Key, w, last) {
			last.Entries = append(last.Entries[:i], last.Entries[i+1:]...)
			return true
		}
	}
	return false
}

// keeps says that no write that deletes the key can have been between a write and a read.
func (h history) keeps(key string, from, to *Record) bool {
	for _, r := range h {
		for _, m := range r.Mutations {
			if m[0] == "delete" && m[1] == key && r.Call <= to.End() && r.End() >= from.Call {
				return false
			}
		}
	}
	return true
}

// makeStale: a read after an acknowledged write shows what was before.
func (h history) makeStale(kind string) bool {
	return h.first(func(r *Record) bool {
		for i, e := range r.Entries {
			w := h.writer(e)
			if r.Kind != kind || w == nil || w.End() >= r.Call {
				continue
			}
			if older := h.older(e); older != nil {
				r.Entries[i] = *older
				return true
			}
		}
		return false
	})
}

// tear: of two keys that one write set, a read shows one as it was before.
func (h history) tear(kind string) bool {
	return h.first(func(r *Record) bool {
		for i, e := range r.Entries {
			for j := range r.Entries {
				if r.Kind != kind || i == j || e.Stamp == "" || e.Stamp != r.Entries[j].Stamp {
					continue
				}
				if older := h.older(e); older != nil {
					r.Entries[i] = *older
					return true
				}
			}
		}
		return false
	})
}

// turnWatchBack: two frames of a watch in the wrong order.
func (h history) turnWatchBack() bool {
	return h.first(func(a *Record) bool {
		for _, b := range h {
			if a.Kind != "frame" || b.Kind != "frame" || a.Client != b.Client || a.Watch != b.Watch || a.Number >= b.Number {
				continue
			}
			for i, e := range a.Entries {
				if e.Stamp != "" && e.Stamp < b.Entries[i].Stamp {
					a.Entries, b.Entries = b.Entries, a.Entries
					return true
				}
			}
		}
		return false
	})
}

// missKey: a reverse list lacks a key that was surely there.
func (h history) missKey() bool {
	return h.first(func(r *Record) bool {
		for i, e := range r.Entries {
			w := h.writer(e)
			if r.Kind != "list" || !r.Reverse || w == nil || w.End() >= r.Call || !h.keeps(e.Key, w, r) {
				continue
			}
			r.Entries = append(r.Entries[:i], r.Entries[i+1:]...)
			return true
		}
		return false
	})
}

func (h history) seen(key, stamp string) bool {
	return h.first(func(r *Record) bool {
		for _, e := range r.Entries {
			if e.Key == key && e.Stamp == stamp {
				return true
			}
		}
		return false
	})
}

// callFailed: a write with checks, of which an entry was seen.
func (h history) callFailed() bool {
	return h.first(func(r *Record) bool {
		for _, m := range r.Mutations {
			if r.acknowledged() && len(r.Checks) > 0 && r.sets(m[1]) != "" && h.seen(m[1], r.Versionstamp) {
				r.Outcome, r.Versionstamp = "failed", ""
				return true
			}
		}
		return false
	})
}

// callSuccessful: a write whose own key is in no read.
func (h history) callSuccessful() bool {
	p, err := newPlan(h)
	if err != nil {
		return false
	}
	for _, w := range p.writes {
		own := p.ownKey(w)
		if w.record.Outcome != "failed" || own == "" || len(w.seen) > 0 || !p.settled(own, h) {
			continue
		}
		for _, before := range h {
			if before.acknowledged() && before.End() < w.record.Call {
				// Just after that one: the last two bytes are zero in all that the server makes.
				stamp := before.Versionstamp
				w.record.Outcome, w.record.Failed = "ok", nil
				w.record.Versionstamp = stamp[:len(stamp)-1] + "1"
				return true
			}
		}
	}
	return false
}

// inOrder calls `change` with two acknowledged writes of which one had ended before the other began.
func (h history) inOrder(change func(a, b *Record)) bool {
	return h.first(func(a *Record) bool {
		for _, b := range h {
			if a.acknowledged() && b.acknowledged() && a.End() < b.Call {
				change(a, b)
				return true
			}
		}
		return false
	})
}

func (h history) swapStamps() bool {
	return h.inOrder(func(a, b *Record) { a.Versionstamp, b.Versionstamp = b.Versionstamp, a.Versionstamp })
}

func (h history) repeatStamp() bool {
	return h.inOrder(func(a, b *Record) { b.Versionstamp = a.Versionstamp })
}
