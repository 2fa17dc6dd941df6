// Package tui shows a run on a terminal, while it goes on or after its end:
// every session with its state on both sides, what differs, where the
// application tried to go, what it wrote, and the ledger.
package tui
