package soak_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestModel(t *testing.T) {
	now := time.Now()
	pause := override{kind: paused}
	held := override{kind: paused, hold: true}
	gone := override{kind: deleted}
	seen := func(id string, o override) map[string]override { return map[string]override{id: o} }

	t.Run("Should find an override that was lost, and one that nobody made", func(t *testing.T) {
		m := model{}
		m.set("a", pause)
		assert.Empty(t, m.mismatches(seen("a", pause), now))
		assert.NotEmpty(t, m.mismatches(seen("a", override{}), now))
		assert.NotEmpty(t, m.mismatches(seen("a", gone), now))
		assert.NotEmpty(t, m.mismatches(seen("a", held), now))
		assert.NotEmpty(t, m.mismatches(map[string]override{}, now), "a replica that does not show it")
		assert.Empty(t, model{}.mismatches(seen("a", override{}), now))
		assert.NotEmpty(t, model{}.mismatches(seen("a", pause), now))
	})
	t.Run("Should end at a reload what is not held", func(t *testing.T) {
		m := model{}
		m.set("a", pause)
		m.set("b", held)
		m.reload(true)
		assert.True(t, m.certain("a"))
		assert.Equal(t, []override{held}, m.allowed("b"))
	})
	t.Run("Should leave open whether a write without an answer came before a reload", func(t *testing.T) {
		m := model{}
		m.may("a", override{kind: paused, loose: true})
		m.reload(true)
		assert.Empty(t, m.mismatches(seen("a", pause), now))
		assert.Empty(t, m.mismatches(seen("a", override{}), now))
		assert.NotEmpty(t, m.mismatches(seen("a", gone), now))
	})
	t.Run("Should leave open whether a reload without an answer came", func(t *testing.T) {
		m := model{}
		m.set("a", pause)
		m.reload(false)
		assert.Len(t, m.allowed("a"), 2)
	})
	t.Run("Should want an expired override gone, and one that runs there", func(t *testing.T) {
		running := override{kind: paused, expires: now.Add(time.Minute)}
		assert.True(t, running.fits(running, now))
		assert.False(t, running.fits(override{}, now))
		assert.False(t, running.fits(pause, now), "it lost its expiry")
		assert.False(t, running.fits(running, now.Add(2*time.Minute)))
		assert.True(t, running.fits(override{}, now.Add(2*time.Minute)))
	})
	t.Run("Should know what a lost reconciler leaves", func(t *testing.T) {
		m := model{}
		m.set("a", held)
		m.set("b", gone)
		m.lose()
		assert.Equal(t, []override{pause}, m.allowed("a"))
		assert.True(t, m.certain("b"))
	})
	t.Run("Should take what is true when a round ends", func(t *testing.T) {
		m := model{}
		m.set("a", pause, gone)
		m.set("b", pause)
		m.settle(map[string]override{"a": gone, "b": {}})
		assert.Equal(t, model{"a": {gone}}, m)
	})
}

func TestGrows(t *testing.T) {
	t.Run("Should bear noise and find growth", func(t *testing.T) {
		assert.Empty(t, grows("x", []float64{100, 90, 110, 100, 95, 120, 100, 90, 105}, 10))
		assert.Empty(t, grows("x", []float64{100, 100, 100, 100, 100, 100, 100, 900, 100}, 10), "one that stands out")
		assert.NotEmpty(t, grows("x", []float64{10, 50, 100, 150, 200, 250, 300, 350, 400}, 10))
		assert.Empty(t, grows("x", []float64{1, 100}, 10), "too few to tell")
	})
}
