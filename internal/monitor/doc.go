// Package monitor watches a log for its owner.
package monitor
