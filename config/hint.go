package config

import (
	"fmt"
	"strings"
)

// hint is the remedy for an unknown key: the known one that was probably meant, or all of them.
func hint(key string, known []string) string {
	if near := nearest(key, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "the known keys are " + strings.Join(known, ", ")
}

// nearest returns the known key that key most likely stands for, "" where none is near.
func nearest(key string, known []string) string {
	plain := plainKey(key)
	best, bestDistance := "", len(key)
	for _, candidate := range known {
		other := plainKey(candidate)
		if len(plain) >= 3 && (strings.Contains(other, plain) || strings.HasPrefix(plain, other)) {
			return candidate
		}
		// One slip in three letters is a typo, more is another word.
		if d := distance(plain, other); d < bestDistance && d <= max(1, len(other)/3) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// plainKey makes overlapPolicy, overlap-policy and overlap_policy the same.
func plainKey(key string) string {
	const longest = 64
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(key[:min(len(key), longest)]))
}

// distance is the Levenshtein distance: how many letters to insert, drop or change.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
