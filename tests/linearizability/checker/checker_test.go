package main

import (
	"strings"
	"testing"
	"time"
)

// Histories by hand. Each record is of a client of its own, unless it says otherwise; times are small numbers.

func is(key, text, stamp string) Entry     { return Entry{key, "=" + text, stamp} }
func counts(key, number, st string) Entry  { return Entry{key, "#" + number, st} }
func absent(key string) Entry              { return Entry{Key: key} }
func set(key, text string) []string        { return []string{"set", key, text} }
func del(key string) []string              { return []string{"delete", key} }
func sum(key, number string) []string      { return []string{"sum", key, number} }
func at(key, stamp string) [2]string       { return [2]string{key, stamp} }
func none(key string) [2]string            { return [2]string{key, ""} }
func checks(list ...[2]string) [][2]string { return list }

func record(kind string, call, end int64) *Record {
	r := &Record{Kind: kind, Call: call, Client: -1}
	if end >= 0 {
		r.Return = &end
	}
	return r
}

func get(call, end int64, entries ...Entry) *Record {
	r := record("get", call, end)
	r.Entries = entries
	return r
}

func list(call, end int64, from, to string, limit int, entries ...Entry) *Record {
	r := get(call, end, entries...)
	r.Kind, r.From, r.To, r.Limit = "list", from, to, limit
	return r
}

func reverse(call, end int64, from, to string, limit int, entries ...Entry) *Record {
	r := list(call, end, from, to, limit, entries...)
	r.Reverse = true
	return r
}

// All frames of a test are of one watch.
func frame(number int, call, end int64, entries ...Entry) *Record {
	r := get(call, end, entries...)
	r.Kind, r.Number, r.Client = "frame", number, 1000
	return r
}

func wrote(call, end int64, outcome, stamp string, checks [][2]string, mutations ...[]string) *Record {
	r := record("write", call, end)
	r.Outcome, r.Versionstamp, r.Checks, r.Mutations, r.Sends = outcome, stamp, checks, mutations, 1
	return r
}

func ok(call, end int64, stamp string, mutations ...[]string) *Record {
	return wrote(call, end, "ok", stamp, nil, mutations...)
}

func okIf(call, end int64, stamp string, checks [][2]string, mutations ...[]string) *Record {
	return wrote(call, end, "ok", stamp, checks, mutations...)
}

func failed(call, end int64, checks [][2]string, mutations ...[]string) *Record {
	return wrote(call, end, "failed", "", checks, mutations...)
}

func unknown(call int64, checks [][2]string, mutations ...[]string) *Record {
	return wrote(call, -1, "unknown", "", checks, mutations...)
}

func (r *Record) sent(times int) *Record {
	r.Sends = times
	return r
}

func (r *Record) failing(indexes ...int) *Record {
	r.Failed = indexes
	return r
}

func decideText(t *testing.T, records history) string {
	t.Helper()
	var text strings.Builder
	for i, r := range records {
		if r.Client < 0 {
			r.Client = i
		}
		text.WriteString(r.String() + "\n")
	}
	parsed, err := readHistory(strings.NewReader(text.String()))
	if err != nil {
		t.Fatal(err)
	}
	result, _, err := decide(parsed, 30*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestGood(t *testing.T) {
	for name, h := range map[string]history{
		"nothing": {},
		"one after the other": {
			get(0, 1, absent("a")), ok(2, 3, "01", set("a", "x")), get(4, 5, is("a", "x", "01")),
			ok(6, 7, "02", del("a"), set("b", "y")), get(8, 9, absent("a"), is("b", "y", "02")),
		},
		"a read during a write sees it":          {ok(0, 9, "01", set("a", "x")), get(2, 3, is("a", "x", "01"))},
		"a read during a write does not see it":  {ok(0, 9, "01", set("a", "x")), get(2, 3, absent("a"))},
		"reads during a write, first without it": {ok(0, 9, "01", set("a", "x")), get(2, 3, absent("a")), get(4, 5, is("a", "x", "01"))},
		"the order of versionstamps need not be that of calls": {
			ok(0, 9, "02", set("a", "x")), ok(1, 9, "01", set("a", "y")), get(10, 11, is("a", "x", "02")),
		},
		"mutations of one key in their order": {
			ok(0, 1, "01", set("a", "x"), del("a"), set("a", "y"), sum("n", "2"), sum("n", "3")),
			get(2, 3, is("a", "y", "01"), counts("n", "5", "01")),
		},
		"a sum wraps": {
			ok(0, 1, "01", sum("n", "18446744073709551615")), ok(2, 3, "02", sum("n", "2")), get(4, 5, counts("n", "1", "02")),
		},
		"lists, forward and reverse, with limits": {
			ok(0, 1, "01", set("a", "1"), set("b", "2"), set("c", "3"), set("d", "4")),
			list(2, 3, "a", "d", 0, is("a", "1", "01"), is("b", "2", "01"), is("c", "3", "01")),
			list(4, 5, "a", "z", 2, is("a", "1", "01"), is("b", "2", "01")),
			reverse(6, 7, "a", "d", 2, is("c", "3", "01"), is("b", "2", "01")),
			reverse(8, 9, "b", "c", 2, is("b", "2", "01")),
			list(10, 11, "e", "z", 1),
		},
		"checks": {
			okIf(0, 1, "01", checks(none("a")), set("a", "x")), failed(2, 3, checks(none("a")), set("a", "y")).failing(0),
			okIf(4, 5, "02", checks(none("b"), at("a", "01")), set("a", "z")),
			failed(6, 7, checks(none("b"), at("a", "01"), none("a")), set("a", "w")).failing(1, 2),
			get(8, 9, is("a", "z", "02")),
		},
		"a check that fails because of a write at the same time": {
			ok(0, 9, "01", set("a", "x")), failed(2, 3, checks(none("a")), set("b", "y")),
		},
		"a lost write that took effect":        {unknown(0, nil, set("a", "x")), get(5, 6, absent("a")), get(7, 8, is("a", "x", "01"))},
		"a lost write that did not":            {unknown(0, nil, set("a", "x")), ok(5, 6, "01", set("a", "y")), get(7, 8, is("a", "y", "01"))},
		"a lost delete that took effect":       {ok(0, 1, "01", set("a", "x")), unknown(2, nil, del("a")), get(4, 5, absent("a"))},
		"a lost sum, told by its versionstamp": {unknown(0, nil, sum("n", "5")), get(2, 3, absent("n")), get(4, 5, counts("n", "5", "01"))},
		"one of two lost sums": {
			unknown(0, nil, sum("n", "5")), unknown(0, nil, sum("n", "7")), get(4, 5, counts("n", "7", "01")),
			ok(6, 7, "02", sum("n", "1")), get(8, 9, counts("n", "8", "02")),
		},
		"a lost sum, told by a later one": {
			ok(0, 1, "01", sum("n", "1")), unknown(2, nil, sum("n", "5")), ok(3, 4, "03", sum("n", "1")),
			get(5, 6, counts("n", "7", "03")),
		},
		"a lost write that only a failed check tells of": {
			ok(0, 1, "01", set("a", "x")), unknown(2, nil, set("a", "y"), set("b", "y")),
			failed(3, 4, checks(at("a", "01")), set("c", "z")), ok(5, 6, "02", set("a", "w"), del("b")), get(7, 8, is("a", "w", "02"), absent("b")),
		},
		"a lost write after another lost write": {
			unknown(0, nil, set("a", "x")), unknown(1, nil, del("a")), failed(2, 3, checks(none("a")), set("b", "y")),
			okIf(4, 5, "02", checks(none("a")), set("b", "z")),
		},
		"a set that was sent twice took effect twice": {
			ok(0, 9, "03", set("a", "x")).sent(2), get(1, 2, is("a", "x", "01")), ok(3, 4, "02", set("a", "y")),
			get(5, 6, is("a", "y", "02")), get(10, 11, is("a", "x", "03")),
		},
		"a sum that was sent twice took effect twice": {
			ok(0, 9, "03", sum("n", "5")).sent(2), get(10, 11, counts("n", "10", "03")),
		},
		"a write that was sent twice: the first took effect, the second failed": {
			failed(0, 9, checks(none("own"), none("b")), set("own", "x"), set("b", "x")).sent(2),
			list(10, 11, "a", "z", 0, is("b", "x", "01"), is("own", "x", "01")),
		},
		"a write that was sent twice, unseen, and failed": {
			ok(0, 1, "01", set("a", "x")), failed(2, 9, checks(at("a", "01")), del("a")).sent(2), get(10, 11, absent("a")),
		},
		"a delete whose versionstamp is not told": {
			ok(0, 1, "01", set("a", "x")), ok(2, 3, "", del("a")), get(4, 5, absent("a")),
		},
		"frames of a watch, of which some states are missing": {
			frame(0, 0, 1, absent("a"), absent("b")), ok(2, 3, "01", set("a", "x")), ok(4, 5, "02", set("b", "y")),
			frame(1, 0, 6, is("a", "x", "01"), is("b", "y", "02")),
		},
		"frames that come late": {
			ok(0, 1, "01", set("a", "x")), ok(4, 5, "02", set("a", "y")), get(6, 7, is("a", "y", "02")),
			frame(0, 2, 8, is("a", "x", "01")), frame(1, 2, 9, is("a", "y", "02")),
		},
		"the same frame twice": {ok(0, 1, "01", set("a", "x")), frame(0, 2, 3, is("a", "x", "01")), frame(1, 2, 4, is("a", "x", "01"))},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decideText(t, h); got != "accepted" {
				t.Error(got)
			}
		})
	}
}

func TestBad(t *testing.T) {
	for name, h := range map[string]history{
		"an acknowledged write is lost": {ok(0, 1, "01", set("a", "x")), get(2, 3, absent("a"))},
		"an acknowledged write is lost after it was read": {
			ok(0, 1, "01", set("a", "x")), get(2, 3, is("a", "x", "01")), get(4, 5, absent("a")),
		},
		"an acknowledged write is lost with a lost write about": {
			unknown(0, nil, set("a", "y")), ok(1, 2, "01", set("a", "x")), get(3, 4, absent("a")),
		},
		"an acknowledged sum is lost": {ok(0, 1, "01", sum("n", "1")), ok(2, 3, "02", sum("n", "1")), get(4, 5, counts("n", "1", "02"))},
		"a sum counts twice":          {ok(0, 1, "01", sum("n", "1")), get(4, 5, counts("n", "2", "01"))},
		"a sum that was sent twice counts three times": {
			ok(0, 9, "03", sum("n", "5")).sent(2), get(10, 11, counts("n", "15", "03")),
		},
		"a stale read": {ok(0, 1, "01", set("a", "x")), ok(2, 3, "02", set("a", "y")), get(4, 5, is("a", "x", "01"))},
		"a read goes back": {
			ok(0, 9, "01", set("a", "x")), get(1, 2, is("a", "x", "01")), get(3, 4, absent("a")),
		},
		"a read from the future": {get(0, 1, is("a", "x", "01")), ok(2, 3, "01", set("a", "x"))},
		"a value nobody wrote":   {get(0, 1, is("a", "x", "01"))},
		"a number nobody wrote":  {unknown(0, nil, sum("n", "5")), get(2, 3, counts("n", "6", "01"))},
		"half an atomic write": {
			ok(0, 1, "01", set("a", "1"), set("b", "1")), ok(2, 9, "02", set("a", "2"), set("b", "2")),
			get(3, 4, is("a", "2", "02"), is("b", "1", "01")),
		},
		"half a lost atomic write": {
			unknown(0, nil, set("a", "1"), set("b", "1")), get(2, 3, is("a", "1", "01"), absent("b")),
		},
		"half a lost atomic write, in two reads": {
			unknown(0, nil, set("a", "1"), set("b", "1")), get(2, 3, is("a", "1", "01")), get(4, 5, absent("b")),
		},
		"a read of two moments": {
			ok(0, 1, "01", set("a", "1")), ok(2, 3, "02", set("b", "2")), ok(4, 5, "03", set("a", "3")),
			get(0, 9, is("a", "3", "03"), absent("b")),
		},
		"a lost write is seen and gone again": {
			unknown(0, nil, set("a", "1")), get(2, 3, is("a", "1", "01")), get(4, 5, absent("a")),
		},
		"a lost write takes effect before its call": {get(0, 1, is("a", "1", "01")), unknown(2, nil, set("a", "1"))},
		"a lost delete takes effect twice": {
			unknown(0, nil, del("a")), ok(1, 2, "01", set("a", "x")), get(3, 4, absent("a")),
			ok(5, 6, "02", set("a", "y")), get(7, 8, absent("a")),
		},
		"a write that was sent once takes effect twice": {
			ok(0, 9, "03", set("a", "x")), get(1, 2, is("a", "x", "01")), ok(3, 4, "02", set("a", "y")), get(10, 11, is("a", "x", "03")),
		},
		"a write that was sent twice takes effect after its answer": {
			ok(0, 3, "01", set("a", "x")).sent(2), ok(4, 5, "02", set("a", "y")), get(6, 7, is("a", "x", "03")),
		},
		"a delete that was sent twice takes effect after its answer": {
			ok(0, 3, "01", del("a")).sent(2), ok(4, 5, "02", set("a", "y")), get(6, 7, absent("a")),
		},
		"the acknowledged versionstamp is not that of the entry": {ok(0, 1, "01", set("a", "x")), get(2, 3, is("a", "x", "02"))},
		"two versionstamps in one atomic write": {
			ok(0, 1, "01", set("a", "x"), set("b", "y")), get(2, 3, is("a", "x", "01"), is("b", "y", "02")),
		},
		"the same versionstamp twice":             {ok(0, 1, "01", set("a", "x")), ok(2, 3, "01", set("b", "y"))},
		"the same versionstamp twice, unseen key": {ok(0, 9, "01", del("a")), ok(0, 9, "01", del("b"))},
		"versionstamps against the order in time": {ok(0, 1, "02", set("a", "x")), ok(2, 3, "01", set("b", "y"))},
		"a list misses a key": {
			ok(0, 1, "01", set("a", "1"), set("b", "2"), set("c", "3")), list(2, 3, "a", "z", 0, is("a", "1", "01"), is("c", "3", "01")),
		},
		"a reverse list misses a key": {
			ok(0, 1, "01", set("a", "1"), set("b", "2"), set("c", "3")), reverse(2, 3, "a", "z", 2, is("c", "3", "01"), is("a", "1", "01")),
		},
		"a reverse list with a limit begins at the wrong end": {
			ok(0, 1, "01", set("a", "1"), set("b", "2"), set("c", "3")), reverse(2, 3, "a", "z", 2, is("b", "2", "01"), is("a", "1", "01")),
		},
		"a reverse list is forward": {
			ok(0, 1, "01", set("a", "1"), set("b", "2")), reverse(2, 3, "a", "z", 0, is("a", "1", "01"), is("b", "2", "01")),
		},
		"a list ends too early": {ok(0, 1, "01", set("a", "1"), set("b", "2")), list(2, 3, "a", "z", 2, is("a", "1", "01"))},
		"a list goes beyond its limit": {
			ok(0, 1, "01", set("a", "1"), set("b", "2")), list(2, 3, "a", "z", 1, is("a", "1", "01"), is("b", "2", "01")),
		},
		"a list includes its end": {ok(0, 1, "01", set("a", "1"), set("b", "2")), list(2, 3, "a", "b", 0, is("a", "1", "01"), is("b", "2", "01"))},
		"a list shows a deleted key": {
			ok(0, 1, "01", set("a", "1")), ok(2, 3, "02", del("a")), list(4, 5, "a", "z", 0, is("a", "1", "01")),
		},
		"a check fails that should hold":         {ok(0, 1, "01", set("a", "x")), failed(2, 3, checks(at("a", "01")), set("b", "y"))},
		"a check of absence fails":               {failed(2, 3, checks(none("a")), set("b", "y"))},
		"a check holds that should fail":         {ok(0, 1, "01", set("a", "x")), okIf(2, 3, "02", checks(none("a")), set("b", "y"))},
		"a check of an old versionstamp holds":   {ok(0, 1, "01", set("a", "x")), ok(2, 3, "02", set("a", "y")), okIf(4, 5, "03", checks(at("a", "01")), set("b", "z"))},
		"the wrong check is called the failed":   {ok(0, 1, "01", set("a", "x")), failed(2, 3, checks(none("a"), none("b")), set("b", "y")).failing(1)},
		"one of the failed checks is not told":   {ok(0, 1, "01", set("a", "x"), set("b", "x")), failed(2, 3, checks(none("a"), none("b")), set("c", "y")).failing(0)},
		"both of two checked writes succeed":     {okIf(0, 9, "01", checks(none("a")), set("a", "x")), okIf(0, 9, "02", checks(none("a")), set("a", "y"))},
		"a write whose check failed took effect": {ok(0, 1, "01", set("a", "x")), failed(2, 3, checks(none("a")), set("b", "y")), get(4, 5, is("b", "y", "02"))},
		"an answered failure that took effect, sent once": {
			failed(0, 9, checks(none("own")), set("own", "x")), list(10, 11, "a", "z", 0, is("own", "x", "01")),
		},
		"a retried write failed at first and took effect after": {
			ok(0, 1, "01", set("a", "x")), failed(2, 5, checks(none("a")), set("b", "y")).sent(2), get(6, 7, is("b", "y", "02")),
		},
		"a write took effect twice under its own check": {
			okIf(0, 9, "03", checks(none("own")), set("own", "x")).sent(2), get(1, 2, is("own", "x", "01")),
			get(10, 11, is("own", "x", "03")),
		},
		"mutations of one key out of order": {ok(0, 1, "01", set("a", "x"), set("a", "y")), get(2, 3, is("a", "x", "01"))},
		"a delete whose versionstamp is not told is lost": {
			ok(0, 1, "01", set("a", "x")), ok(2, 3, "", del("a")), get(4, 5, is("a", "x", "01")),
		},
		"a watch goes back": {
			ok(0, 1, "01", set("a", "x")), ok(2, 9, "02", set("a", "y")), frame(0, 2, 4, is("a", "y", "02")), frame(1, 2, 5, is("a", "x", "01")),
		},
		"a watch goes back to absence": {
			ok(0, 9, "01", set("a", "x")), frame(0, 1, 2, is("a", "x", "01")), frame(1, 1, 3, absent("a")),
		},
		"a watch mixes two states": {
			ok(0, 1, "01", set("a", "1"), set("b", "1")), ok(2, 3, "02", set("a", "2"), set("b", "2")),
			frame(0, 0, 9, is("a", "1", "01"), is("b", "2", "02")),
		},
		"a watch mixes two writes": {
			ok(0, 1, "01", set("a", "1")), ok(2, 3, "02", set("b", "2")), frame(0, 0, 9, absent("a"), is("b", "2", "02")),
		},
		"a watch begins with a stale state": {
			ok(0, 1, "01", set("a", "x")), ok(2, 3, "02", set("a", "y")), frame(0, 4, 5, is("a", "x", "01")),
		},
		"a watch shows a write before its call": {frame(0, 0, 1, is("a", "x", "01")), ok(2, 3, "01", set("a", "x"))},
	} {
		t.Run(name, func(t *testing.T) {
			if got := decideText(t, h); got != "rejected" {
				t.Error(got)
			}
		})
	}
}

func TestMalformedHistoriesAreRefused(t *testing.T) {
	for _, text := range []string{
		`{`,
		`{"kind":"glance","call":1,"return":2}`,
		`{"kind":"get","call":1,"return":null}`,
		`{"kind":"get","call":2,"return":1}`,
		`{"kind":"get","call":1,"return":2,"entries":[["a","=x"]]}`,
		`{"kind":"get","call":1,"return":2,"entries":[["a","=x",""]]}`,
		`{"kind":"get","call":1,"return":2,"surprise":1}`,
		`{"kind":"write","call":1,"return":2,"outcome":"unknown","mutations":[["delete","a"]],"sends":1}`,
		`{"kind":"write","call":1,"return":null,"outcome":"ok","mutations":[["delete","a"]],"sends":1}`,
		`{"kind":"write","call":1,"return":2,"outcome":"ok","mutations":[["delete","a"]]}`,
		`{"kind":"write","call":1,"return":2,"outcome":"ok","mutations":[["double","a"]],"sends":1}`,
		`{"kind":"write","call":1,"return":2,"outcome":"failed","checks":[["a","01"]],"mutations":[["delete","a"]],"sends":1}`,
		`{"kind":"write","client":1,"call":1,"return":2,"outcome":"ok","mutations":[["set","a","x"]],"sends":1}` + "\n" +
			`{"kind":"write","client":2,"call":3,"return":4,"outcome":"ok","mutations":[["set","a","x"]],"sends":1}`,
		`{"kind":"get","client":1,"call":1,"return":3}` + "\n" + `{"kind":"get","client":1,"call":2,"return":4}`,
	} {
		if _, err := readHistory(strings.NewReader(text)); err == nil {
			t.Errorf("taken: %s", text)
		}
	}
}

func TestARejectionSaysWhereItIsStuck(t *testing.T) {
	h := history{ok(0, 1, "01", set("a", "x")), get(2, 3, is("a", "x", "01")), get(4, 5, absent("a")), get(6, 7, is("a", "x", "01"))}
	p, err := newPlan(h)
	if err != nil {
		t.Fatal(err)
	}
	if out := stuck(p, time.Second); len(out) == 0 || out[0] != h[2].String() {
		t.Errorf("%v", out)
	}
}
