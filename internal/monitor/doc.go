// Package monitor watches a log for its owner: it follows the log from where it
// was, checks that it only grew and that every new entry is what the log says,
// and reports what the owner asked to hear of.
//
// It needs nothing but the C2SP read paths of a log (c2sp.org/tlog-tiles): the
// checkpoint and the bundles of entries. Tiles of hashes are not read: whoever
// reads every entry computes the root, and that the new root follows from all
// entries, the old ones by the hashes that were kept of them, is the proof of
// consistency and of inclusion in one.
//
// Page: docs/monitoring.md.
package monitor
