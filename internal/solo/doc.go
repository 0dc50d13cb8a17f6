// Package solo is the embedded engine: one process writes one ledger on this
// machine's disk.
//
// Writers that wait are taken together: the group's envelopes are admitted one
// after another, the checkpoint over them is signed, and one synced batch
// stores all of it. The order of a commit is database, guard, then visible and
// acknowledged. After a failed write or sync nothing is acknowledged until the
// ledger is opened again, because only then is it known what reached the disk;
// a retry of the same envelope is safe and gives its first receipt.
//
// The ledger's directory holds
//
//	.gitignore     "*": the ledger keeps itself out of git
//	ledger.json    which ledger this is; written last when a ledger is made
//	lock           the one writer's lock, naming who holds it
//	db/            the store: docs/formats/store.md
//	attachments/   documents by their SHA-256
//	manifests/     manifests by fingerprint
//
// and the user's state directory, by the ledger's id, holds log.key and the
// guard (docs/formats/guard.md).
package solo
