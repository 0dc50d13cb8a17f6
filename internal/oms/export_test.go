package oms

// ParseStatement reads what is signed, whoever signed it.
var ParseStatement = parseStatement

// Marshal writes a statement.
func (st *Statement) Marshal() ([]byte, error) { return st.marshal() }
