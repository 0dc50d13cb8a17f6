package contract

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
)

func (k *compiler) suggest(source common.Source, e *cel.Error) string { return "" }
