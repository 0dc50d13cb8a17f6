package contract

import "strings"

// nearest returns the known word that was most likely meant: one that differs in
// case alone, or in at most two letters, or one in three of a short word. Of
// several the first; none is "".
func nearest(word string, known []string) string {
	best, least := "", min(2, len(word)/3)+1
	for _, k := range known {
		if strings.EqualFold(word, k) {
			return k
		}
		if d := distance(strings.ToLower(word), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to add, remove, change or swap with their
// neighbour to make one word of another (optimal string alignment).
func distance(a, b string) int {
	const longest = 64 // words beyond it are no slips
	if len(a) > longest || len(b) > longest {
		return longest
	}
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next[0] = i + 1
		for j := range len(b) {
			same := 1
			if a[i] == b[j] {
				same = 0
			}
			next[j+1] = min(row[j+1]+1, next[j]+1, row[j]+same)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
