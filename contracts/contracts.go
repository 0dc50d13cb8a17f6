// Package contracts holds ready contracts, each with its tests and a page.
package contracts
