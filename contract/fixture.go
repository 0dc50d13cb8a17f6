package contract

// Given is the state and the statement of a test.
type Given struct{}

func readGiven(n node, m *Match) Given { return Given{} }
