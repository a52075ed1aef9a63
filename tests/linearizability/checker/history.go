package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"sort"
	"strings"
)

// Entry is what a client was told of a key: Value is "=text" or "#number"; Stamp is empty if the key was absent.
type Entry struct {
	Key, Value, Stamp string
}

func (e *Entry) UnmarshalJSON(text []byte) error {
	var parts []string
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	switch len(parts) {
	case 1:
		*e = Entry{Key: parts[0]}
	case 3:
		*e = Entry{parts[0], parts[1], parts[2]}
	default:
		return fmt.Errorf("an entry has %d parts", len(parts))
	}
	if len(parts) == 3 && (e.Value == "" || e.Stamp == "") {
		return fmt.Errorf("an entry without a value or a versionstamp: %s", text)
	}
	return nil
}

func (e Entry) MarshalJSON() ([]byte, error) {
	if e.Stamp == "" {
		return json.Marshal([]string{e.Key})
	}
	return json.Marshal([]string{e.Key, e.Value, e.Stamp})
}

// Record is one line of a history. Which fields count depends on Kind:
//
//	get    Entries
//	list   From (inclusive), To (exclusive), Limit (0: none), Reverse, Entries
//	frame  Watch, Number, Entries; Call is when the watch was called, Return when the frame came
//	write  Checks (key and versionstamp, empty for absent), Mutations ("set", key, text; "delete", key; "sum", key,
//	       number), Outcome, Versionstamp (empty if the client does not tell it), Failed (the indexes of the failed
//	       checks, if the client tells them), Sends (how often the client may have sent it)
type Record struct {
	Kind   string `json:"kind"`
	Client int    `json:"client"`
	Call   int64  `json:"call"`
	Return *int64 `json:"return"` // null: no reply

	Entries []Entry `json:"entries,omitempty"`
	From    string  `json:"from,omitempty"`
	To      string  `json:"to,omitempty"`
	Limit   int     `json:"limit,omitempty"`
	Reverse bool    `json:"reverse,omitempty"`
	Watch   int     `json:"watch,omitempty"`
	Number  int     `json:"number,omitempty"`

	Checks       [][2]string `json:"checks,omitempty"`
	Mutations    [][]string  `json:"mutations,omitempty"`
	Outcome      string      `json:"outcome,omitempty"` // "ok", "failed", "unknown"
	Versionstamp string      `json:"versionstamp,omitempty"`
	Failed       []int       `json:"failed,omitempty"`
	Sends        int         `json:"sends,omitempty"`
	Error        string      `json:"error,omitempty"` // how the reply was lost; for people
}

const never = math.MaxInt64

// End is when the operation had surely ended: never, if its reply was lost.
func (r *Record) End() int64 {
	if r.Return == nil {
		return never
	}
	return *r.Return
}

func (r *Record) String() string {
	text, err := json.Marshal(r)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// covers says whether a list says of this key what it is.
func (r *Record) covers(key string) bool {
	if key < r.From || key >= r.To {
		return false
	}
	if r.Limit == 0 || len(r.Entries) < r.Limit {
		return true
	}
	last := r.Entries[len(r.Entries)-1].Key
	return r.Reverse && key >= last || !r.Reverse && key <= last
}

func (r *Record) validate() error {
	if r.Return != nil && *r.Return < r.Call {
		return fmt.Errorf("it returned before it was called")
	}
	if r.Kind != "write" {
		if r.Return == nil {
			return fmt.Errorf("a %s without a reply says nothing", r.Kind)
		}
		if r.Kind != "get" && r.Kind != "list" && r.Kind != "frame" {
			return fmt.Errorf("a record of kind %q", r.Kind)
		}
		return nil
	}
	if (r.Outcome == "unknown") != (r.Return == nil) || r.Outcome == "unknown" && r.Versionstamp != "" {
		return fmt.Errorf("the outcome does not fit the reply")
	}
	if r.Outcome != "ok" && r.Outcome != "failed" && r.Outcome != "unknown" {
		return fmt.Errorf("an outcome %q", r.Outcome)
	}
	if r.Sends < 1 || len(r.Mutations) == 0 {
		return fmt.Errorf("a write without mutations, or that was never sent")
	}
	for _, m := range r.Mutations {
		if !(len(m) == 3 && (m[0] == "set" || m[0] == "sum") || len(m) == 2 && m[0] == "delete") {
			return fmt.Errorf("a mutation %q", m)
		}
	}
	return nil
}

// readHistory reads a history, one JSON object a line, and makes sure that each client did one thing at a time.
func readHistory(from io.Reader) ([]*Record, error) {
	var records []*Record
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 16<<20)
	for number := 1; lines.Scan(); number++ {
		decoder := json.NewDecoder(strings.NewReader(lines.Text()))
		decoder.DisallowUnknownFields()
		record := new(Record)
		err := decoder.Decode(record)
		if err == nil {
			err = record.validate()
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		records = append(records, record)
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	sort.SliceStable(records, func(i, j int) bool { return records[i].Call < records[j].Call })
	last := map[int]*Record{}
	for _, r := range records {
		if r.Kind == "frame" {
			continue // they overlap on purpose
		}
		before := last[r.Client]
		if before != nil && before.Return != nil && *before.Return > r.Call {
			return nil, fmt.Errorf("client %d did two things at once: %v and %v", r.Client, before, r)
		}
		last[r.Client] = r
	}
	return records, agreed(records)
}

// agreed makes sure of what the plan builds on: no text is set twice under a key, and no check has a versionstamp that no
// client was told of, unless it is one that no commit will ever get.
func agreed(records []*Record) error {
	texts := map[string]*Record{}
	told := map[string]bool{"": true}
	for _, r := range records {
		told[r.Versionstamp] = true
		for _, e := range r.Entries {
			told[e.Stamp] = true
		}
		for _, m := range r.Mutations {
			if m[0] != "set" {
				continue
			}
			id := m[1] + "=" + m[2]
			if texts[id] != nil && texts[id] != r {
				return fmt.Errorf("the same text twice: %v and %v", texts[id], r)
			}
			texts[id] = r
		}
	}
	for _, r := range records {
		for _, c := range r.Checks {
			if !told[c[1]] && !strings.HasPrefix(c[1], "ffff") {
				return fmt.Errorf("a check with a versionstamp from nowhere: %v", r)
			}
		}
	}
	return nil
}
