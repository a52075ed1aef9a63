// Checks histories of operations on a Deno KV server against a model of it, by Porcupine.
//
//	checker [-timeout 60s] [-damage] HISTORY...
//
// prints one JSON object a line for each history and exits with 1 unless all are accepted.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/anishathalye/porcupine"
)

// Verdict is what is printed of a history.
type Verdict struct {
	File    string    `json:"file"`
	Result  string    `json:"result"` // "accepted", "rejected", "undecided"
	Seconds float64   `json:"seconds"`
	Records int       `json:"records"`
	Unsure  int       `json:"unsure"`            // writes of which it is not known whether they took effect
	Stuck   []string  `json:"stuck,omitempty"`   // of a rejected one: what could not be placed, the first first
	Damaged []Damaged `json:"damaged,omitempty"` // with -damage
}

// Damaged is what became of a damaged copy, which must not be accepted.
type Damaged struct {
	Kind    string  `json:"kind"`
	Result  string  `json:"result"`
	Seconds float64 `json:"seconds"`
}

func decide(records []*Record, timeout time.Duration) (string, *plan, error) {
	p, err := newPlan(records)
	if err != nil {
		return "", nil, err
	}
	result := porcupine.CheckOperationsTimeout(p.model(), p.operations(), timeout)
	switch {
	case result == porcupine.Ok:
		return "accepted", p, nil
	case result == porcupine.Illegal && !p.tooMany:
		return "rejected", p, nil
	}
	return "undecided", p, nil
}

// stuck explains a rejection: the longest order of steps that was possible, and which steps then had to come and could
// not.
func stuck(p *plan, timeout time.Duration) []string {
	_, info := porcupine.CheckOperationsVerbose(p.model(), p.operations(), timeout)
	var longest []porcupine.Operation
	for _, partition := range info.PartialLinearizationsOperations() {
		for _, order := range partition {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	placed := map[*step]bool{}
	for _, op := range longest {
		placed[op.Input.(*step)] = true
	}
	first := int64(never)
	for _, s := range p.steps {
		if !placed[s] && s.end < first {
			first = s.end
		}
	}
	var out []string
	for _, s := range p.steps {
		if !placed[s] && s.call <= first {
			if s.end == first {
				out = append([]string{s.String()}, out...)
			} else {
				out = append(out, s.String())
			}
		}
	}
	return out
}

func examine(path string, timeout time.Duration, damage bool) (*Verdict, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	records, err := readHistory(file)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	result, p, err := decide(records, timeout)
	if err != nil {
		return nil, err
	}
	v := &Verdict{File: path, Result: result, Seconds: time.Since(began).Seconds(), Records: len(records)}
	for _, s := range p.steps {
		if s.kind == unsureStep {
			v.Unsure++
		}
	}
	if result == "rejected" {
		v.Stuck = stuck(p, timeout)
	}
	if !damage {
		return v, nil
	}
	for _, d := range damages {
		copied := history(records).copy()
		if !d.do(copied) {
			continue
		}
		began := time.Now()
		result, _, err := decide(copied, timeout)
		if err != nil {
			return nil, fmt.Errorf("damaged by %s: %w", d.kind, err)
		}
		v.Damaged = append(v.Damaged, Damaged{d.kind, result, time.Since(began).Seconds()})
	}
	return v, nil
}

func main() {
	timeout := flag.Duration("timeout", 60*time.Second, "for each history")
	damage := flag.Bool("damage", false, "also check copies with a fault put in, none of which may be accepted")
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	bad := false
	for _, path := range flag.Args() {
		v, err := examine(path, *timeout, *damage)
		if err != nil {
			fmt.Fprintf(os.Stderr, "checker: %s: %v\n", path, err)
			os.Exit(2)
		}
		text, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
		bad = bad || v.Result != "accepted"
		for _, d := range v.Damaged {
			bad = bad || d.Result != "rejected"
		}
	}
	if bad {
		os.Exit(1)
	}
}
