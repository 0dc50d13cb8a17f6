package contract

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// adapter makes CEL values of Go's own; nothing of this package's goes through
// it.
var adapter = types.NewEmptyRegistry()

// class is a type of the ledger's, as expressions see it. Fields are read when
// they are asked for, by functions: there is no reflection, and no name of a Go
// type to leak.
type class struct {
	name   string // stele.Artifact
	typ    *types.Type
	fields []field
}

// field is a field of a class. Its reader takes an object of the class that has
// something in it, and returns a value of its type, an error or an unknown.
type field struct {
	name string
	typ  *types.Type
	read func(o *object) ref.Val
}

func newClass(name string) *class { return &class{name: name, typ: types.NewObjectType(name)} }

// object is a value of a class. One with nothing in it is what a field says that
// is not set: all its fields are empty, too.
type object struct {
	*class
	ev *evaluation
	in any // what the class's readers expect; nil: nothing
}

// field returns a field by its name.
func (c *class) field(name string) (field, bool) {
	i := slices.IndexFunc(c.fields, func(f field) bool { return f.name == name })
	if i < 0 {
		return field{}, false
	}
	return c.fields[i], true
}

// names returns the names of the fields, in order.
func (c *class) names() []string {
	list := make([]string, len(c.fields))
	for i, f := range c.fields {
		list[i] = f.name
	}
	return list
}

// get reads a field of an object of the class, for CEL.
func (f *field) get(target any) (any, error) {
	switch o := target.(type) {
	case *object:
		v := f.of(o)
		if err, ok := v.(*types.Err); ok {
			return nil, err
		}
		return v, nil
	case *types.Unknown:
		return o, nil
	}
	return nil, fmt.Errorf("no such field: %s", f.name)
}

func (f *field) of(o *object) ref.Val {
	if o.in == nil {
		return zero(o.ev, f.typ)
	}
	return f.read(o)
}

// isSet reports whether a field says anything, for has().
func (f *field) isSet(target any) bool {
	o, ok := target.(*object)
	if !ok || o.in == nil {
		return false
	}
	v, ok := f.of(o).(traits.Zeroer)
	return !ok || !v.IsZeroValue()
}

// zero returns the empty value of a type.
func zero(ev *evaluation, t *types.Type) ref.Val {
	switch t.Kind() {
	case types.BoolKind:
		return types.False
	case types.IntKind:
		return types.IntZero
	case types.DoubleKind:
		return types.Double(0)
	case types.TimestampKind:
		return types.Timestamp{Time: time.Unix(0, 0).UTC()}
	case types.ListKind:
		return emptyList
	case types.MapKind:
		return emptyMap
	case types.StructKind:
		return &object{class: classes[t.TypeName()], ev: ev}
	}
	return types.String("")
}

var (
	emptyList = types.NewRefValList(adapter, nil)
	emptyMap  = types.NewStringStringMap(adapter, nil)
)

// errNoConversion is what is said to whoever wants a Go value of an object.
var errNoConversion = errors.New("a value of the ledger's has no other form")

// ConvertToNative implements ref.Val.
func (o *object) ConvertToNative(reflect.Type) (any, error) { return nil, errNoConversion }

// ConvertToType implements ref.Val.
func (o *object) ConvertToType(t ref.Type) ref.Val {
	return types.NewErr("type conversion error from '%s' to '%s'", o.name, t.TypeName())
}

// Equal implements ref.Val. Artifacts are equal where their names, versions and
// fingerprints are; anything else where it is of the same entry and place in it,
// which is where all its fields are.
func (o *object) Equal(other ref.Val) ref.Val {
	p, ok := other.(*object)
	if !ok || o.class != p.class {
		return types.False
	}
	return types.Bool(same(o.in, p.in))
}

// Type implements ref.Val.
func (o *object) Type() ref.Type { return o.typ }

// Value implements ref.Val: what readers of fields are given.
func (o *object) Value() any { return o }

// IsZeroValue implements traits.Zeroer.
func (o *object) IsZeroValue() bool { return o.in == nil }

// AggregateSize implements types.AggregateSizeVisitor: looking at an object
// costs what looking at a number does.
func (o *object) AggregateSize(types.AggregateSizer) uint32 { return 1 }

// String is how an object shows in a message of CEL's.
func (o *object) String() string { return o.name }

// The constructors of values.

func text(s string) ref.Val { return types.String(s) }

func count[T int | int64 | uint64 | uint32](n T) ref.Val {
	if uint64(n) > 1<<63-1 && n > 0 {
		return types.Int(1<<63 - 1)
	}
	return types.Int(n)
}

func at(ms int64) ref.Val { return types.Timestamp{Time: time.UnixMilli(ms).UTC()} }

func texts(list []string) ref.Val { return types.NewStringList(adapter, list) }

func values(list []ref.Val) ref.Val { return types.NewRefValList(adapter, list) }
