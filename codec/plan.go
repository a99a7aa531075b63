package codec

import (
	"encoding"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/fxamacker/cbor/v2"
)

// Most of what the ledger encodes are structs of a few plain shapes. For those a plan, made once per type, writes and reads
// the one deterministic encoding in a single pass, without the library's second look. A plan is only ever a short cut: whatever it
// does not carry through, be it a type it does not know or bytes it does not expect, goes the long way, which alone
// decides what is an error and which. Tests compare the two ways.

// shape says how a plan's type is encoded.
type shape uint8

const (
	shapeUint shape = iota + 1
	shapeInt
	shapeBool
	shapeText
	shapeBytes
	shapeByteArray
	shapeRaw
	shapeList
	shapeStruct
	shapePointer
)

// plan is how values of one type are encoded.
type plan struct {
	shape shape
	typ   reflect.Type
	// head begins the encoding of a shapeByteArray and of a shapeStruct.
	head []byte
	// elem is the plan of a list's elements, or of what a pointer points to.
	elem *plan
	// fields are a struct's, in the order of their encoded keys.
	fields []planField
	// least is the fewest bytes that a value takes, so that a claimed number of elements can be doubted before room is made.
	least int
	// unit is what an element of this shape counts for in a list, beside what it points to: see ListsFactor.
	unit int
	// deep says that values have lists or pointers in them.
	deep bool
}

// planField is one field of a struct.
type planField struct {
	index int
	key   []byte // encoded
	plan  *plan
}

// plans holds the plan of every type met, a nil *plan if it goes the long way. Types are those of the program, so it does not grow
// with what is encoded.
var plans sync.Map

// Planned reports whether values of t are encoded by a plan, the quick way. It is for tests that hold types on hot paths to it.
func Planned(t reflect.Type) bool { return planOf(t) != nil }

// planOf returns the plan of t, or nil if there is none.
func planOf(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := makePlan(t, nil)
	plans.Store(t, p)
	return p
}

var (
	rawType = reflect.TypeFor[RawMessage]()
	// ownWays are what lets a type choose its encoding.
	ownWays = []reflect.Type{
		reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[cbor.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
	}
)

// makePlan returns the plan of t, or nil if it or anything in it is of no known shape. outer are the types that t is part of.
func makePlan(t reflect.Type, outer []reflect.Type) *plan {
	p := shapeOf(t, outer)
	if p != nil {
		p.unit, p.deep = p.size(), p.holds()
	}
	return p
}

// size returns what a value counts for, by its shape alone and not by how this machine lays it out.
func (p *plan) size() int {
	switch p.shape {
	case shapeUint, shapeInt, shapeBool:
		return p.bytesOf()
	case shapeText:
		return 16
	case shapeBytes, shapeRaw, shapeList:
		return 24
	case shapeByteArray:
		return p.typ.Len()
	case shapeStruct:
		n := 0
		for i := range p.fields {
			n += p.fields[i].plan.unit
		}
		return n
	default:
		return 8
	}
}

// bytesOf returns how many bytes a number or truth value takes; int and uint take eight.
func (p *plan) bytesOf() int {
	switch p.typ.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return 1
	case reflect.Int16, reflect.Uint16:
		return 2
	case reflect.Int32, reflect.Uint32:
		return 4
	default:
		return 8
	}
}

// holds reports whether values have lists or pointers in them.
func (p *plan) holds() bool {
	return p.shape == shapeList || p.shape == shapePointer ||
		slices.ContainsFunc(p.fields, func(f planField) bool { return f.plan.deep })
}

// weight returns what the lists and pointers in v count for.
func (p *plan) weight(v reflect.Value) int {
	if !p.deep {
		return 0
	}
	n := 0
	switch p.shape {
	case shapePointer:
		if !v.IsNil() {
			n = p.elem.unit + p.elem.weight(v.Elem())
		}
	case shapeList:
		n = v.Len() * p.elem.unit
		for i := 0; i < v.Len() && p.elem.deep; i++ {
			n += p.elem.weight(v.Index(i))
		}
	default:
		for i := range p.fields {
			n += p.fields[i].plan.weight(v.Field(p.fields[i].index))
		}
	}
	return n
}

func shapeOf(t reflect.Type, outer []reflect.Type) *plan {
	if t == rawType {
		return &plan{shape: shapeRaw, typ: t, least: 1}
	}
	isBytes := (t.Kind() == reflect.Array || t.Kind() == reflect.Slice) && t.Elem() == reflect.TypeFor[byte]()
	ownWay := slices.ContainsFunc(ownWays, func(i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) })
	switch {
	case isBytes && t.Kind() == reflect.Array:
		p := &plan{shape: shapeByteArray, typ: t, head: appendHead(nil, majorBytes, uint64(t.Len()))}
		p.least = len(p.head) + t.Len()
		if ownWay && !p.agrees() {
			return nil
		}
		return p
	case ownWay || slices.Contains(outer, t):
		return nil
	case isBytes:
		return &plan{shape: shapeBytes, typ: t, least: 1}
	}
	switch t.Kind() {
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return &plan{shape: shapeUint, typ: t, least: 1}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &plan{shape: shapeInt, typ: t, least: 1}
	case reflect.Bool:
		return &plan{shape: shapeBool, typ: t, least: 1}
	case reflect.String:
		return &plan{shape: shapeText, typ: t, least: 1}
	case reflect.Slice:
		elem := makePlan(t.Elem(), append(outer, t))
		if elem == nil || t.Elem().Kind() == reflect.Uint8 {
			return nil
		}
		return &plan{shape: shapeList, typ: t, elem: elem, least: 1}
	case reflect.Pointer: // to a struct alone: what may itself be null would be taken for nil
		if t.Elem().Kind() != reflect.Struct {
			return nil
		}
		elem := makePlan(t.Elem(), append(outer, t))
		if elem == nil {
			return nil
		}
		return &plan{shape: shapePointer, typ: t, elem: elem, least: 1}
	case reflect.Struct:
		return planStruct(t, append(outer, t))
	default:
		return nil
	}
}

// planStruct returns the plan of a struct all of whose fields are exported and have integers for keys.
func planStruct(t reflect.Type, outer []reflect.Type) *plan {
	p := &plan{shape: shapeStruct, typ: t, head: appendHead(nil, majorMap, uint64(t.NumField()))}
	p.least = len(p.head)
	for i := range t.NumField() {
		f := t.Field(i)
		number, isInt := strings.CutSuffix(f.Tag.Get("cbor"), ",keyasint")
		key, err := strconv.ParseInt(number, 10, 64)
		if !isInt || err != nil || !f.IsExported() || f.Anonymous {
			return nil
		}
		inner := makePlan(f.Type, outer)
		if inner == nil {
			return nil
		}
		field := planField{index: i, key: appendInt(nil, key), plan: inner}
		p.fields = append(p.fields, field)
		p.least += len(field.key) + inner.least
	}
	slices.SortFunc(p.fields, func(a, b planField) int { return slices.Compare(a.key, b.key) })
	for i := 1; i < len(p.fields); i++ {
		if slices.Equal(p.fields[i-1].key, p.fields[i].key) {
			return nil
		}
	}
	return p
}

// agrees reports whether a byte array with a way of its own encodes as every byte array does, tried on one without symmetry.
func (p *plan) agrees() bool {
	v := reflect.New(p.typ).Elem()
	for i := range v.Len() {
		v.Index(i).SetUint(uint64(byte(7*i + 1)))
	}
	own, err := encMode.Marshal(v.Interface())
	plain, ok := p.append(nil, v, 0)
	return err == nil && ok && slices.Equal(own, plain)
}
