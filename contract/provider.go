package contract

import (
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// provider tells CEL the classes: those of the engine and, of one contract, what
// params and variables hold. It knows no other type: no protocol buffers, no
// enumerations.
type provider struct {
	own map[string]*class // of the contract
}

func (p *provider) class(name string) (*class, bool) {
	if c, ok := p.own[name]; ok {
		return c, true
	}
	c, ok := classes[name]
	return c, ok
}

// EnumValue implements types.Provider.
func (p *provider) EnumValue(name string) ref.Val { return types.NewErr("no such constant: %s", name) }

// FindIdent implements types.Provider.
func (p *provider) FindIdent(string) (ref.Val, bool) { return nil, false }

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	c, ok := p.class(name)
	if !ok {
		return nil, false
	}
	return types.NewTypeTypeWithParam(c.typ), true
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	c, ok := p.class(name)
	if !ok {
		return nil, false
	}
	return c.names(), true
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	c, ok := p.class(name)
	if !ok {
		return nil, false
	}
	f, ok := c.field(fieldName)
	if !ok {
		return nil, false
	}
	return &types.FieldType{Type: f.typ, IsSet: f.isSet, GetFrom: f.get}, true
}

// NewValue implements types.Provider. Rules make no values of these types: a
// contract that tries is refused when it is compiled.
func (p *provider) NewValue(name string, _ map[string]ref.Val) ref.Val {
	return types.NewErr("a %s cannot be made by a rule", name)
}
