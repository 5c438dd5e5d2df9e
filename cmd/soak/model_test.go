package soak_test

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// What an override makes of a schedule.
const (
	none    = ""
	paused  = "paused"
	resumed = "resumed"
	deleted = "deleted"
)

// override is one way in which a schedule may differ from its file.
type override struct {
	kind string
	hold bool
	// expires is when it ends by itself; the zero time for never.
	expires time.Time
	// loose: nobody answered when it was written, so when it came, and when it expires, is known only later.
	loose bool
	// outside: a pause by hand that no list may show yet. A reload right after it can miss it, and then it stays,
	// as one that came after the reload.
	outside bool
}

func (o override) String() string {
	text := o.kind
	if o.kind == none {
		text = "as the file says"
	}
	if o.hold {
		text += ", held"
	}
	if !o.expires.IsZero() {
		text += ", expires " + o.expires.Format(time.TimeOnly)
	}
	return text
}

// seconds that the clocks of a write and of its expiry may be apart.
const expirySlack = 2 * time.Second

// fits reports whether what a replica says is this override.
func (o override) fits(seen override, now time.Time) bool {
	if !o.expires.IsZero() && o.loose && seen.kind == none {
		return true
	}
	if !o.expires.IsZero() && !o.loose {
		if now.After(o.expires.Add(expirySlack)) {
			return seen.kind == none
		}
		if now.After(o.expires.Add(-expirySlack)) && seen.kind == none {
			return true
		}
	}
	if o.kind == none {
		return seen.kind == none
	}
	return seen.kind == o.kind && seen.hold == o.hold && seen.expires.IsZero() == o.expires.IsZero()
}

// model is what each workflow's schedule may be now, against its file. Mostly that is one thing. It is more than
// one where a write got no answer, and where a write and a reload run against each other. Which of them it is, the
// end of the round shows. A workflow that is not in it is as its file says.
type model map[string][]override

// allowed are the states that a schedule may have.
func (m model) allowed(id string) []override {
	if states, ok := m[id]; ok {
		return states
	}
	return []override{{}}
}

// certain reports whether a schedule is as its file says, without a doubt.
func (m model) certain(id string) bool { _, known := m[id]; return !known }

func (m model) has(id, kind string) bool {
	return slices.ContainsFunc(m.allowed(id), func(o override) bool { return o.kind == kind })
}

// set says what a schedule may be from now on.
func (m model) set(id string, states ...override) {
	unique := []override{}
	for _, s := range states {
		if !slices.Contains(unique, s) {
			unique = append(unique, s)
		}
	}
	if len(unique) == 1 && unique[0].kind == none {
		delete(m, id)
		return
	}
	m[id] = unique
}

// may adds states to what a schedule may be.
func (m model) may(id string, states ...override) { m.set(id, slices.Concat(m.allowed(id), states)...) }

// reload ends what is not held. What came without an answer may come after it, and stay.
func (m model) reload(answered bool) {
	for id, states := range maps.Clone(m) {
		var after []override
		for _, s := range states {
			switch {
			case s.hold, s.kind == none:
				after = append(after, s)
			case s.loose, s.outside, !answered:
				after = append(after, s, override{})
			default:
				after = append(after, override{})
			}
		}
		m.set(id, after...)
	}
}

// lose is what stays where the reconciler is terminated (docs/operating.md, "What survives what"): paused or not,
// but not for how long; what was deleted comes back.
func (m model) lose() {
	for id, states := range maps.Clone(m) {
		var after []override
		for _, s := range states {
			switch {
			case s.kind == deleted:
				after = append(after, override{})
			case s.expires.IsZero():
				after = append(after, override{kind: s.kind})
			default: // it may have ended before
				after = append(after, override{kind: s.kind}, override{})
			}
		}
		m.set(id, after...)
	}
}

// mismatches says which of the schedules that a replica shows the model does not allow.
func (m model) mismatches(seen map[string]override, now time.Time) []string {
	var found []string
	for id, s := range seen {
		if !slices.ContainsFunc(m.allowed(id), func(o override) bool { return o.fits(s, now) }) {
			found = append(found, fmt.Sprintf("%s is (%s), allowed is %s", id, s, m.allowed(id)))
		}
	}
	for id := range m {
		if _, ok := seen[id]; !ok {
			found = append(found, id+" is not shown")
		}
	}
	slices.Sort(found)
	return found
}

// settle takes what is true for what is known.
func (m model) settle(seen map[string]override) {
	clear(m)
	for id, s := range seen {
		if s.kind != none {
			m[id] = []override{s}
		}
	}
}
