package bft

import (
	"errors"
	"fmt"

	"github.com/hyperledger-labs/SmartBFT/smartbftprotos"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"aval/codec"
	"aval/ledger"
)

// wireVersion is the version of messages between engines.
const wireVersion = 1

// messageBytesMax bounds an encoded message in bytes. The largest is the start of a view, with a statement of each of
// a quorum; packed, it holds each payload once.
const messageBytesMax = 16 << 20

// The kinds of messages.
const (
	kindKernel uint8 = 1 // a message of the kernel
	kindPacked uint8 = 2 // a message of the kernel, packed
	kindPulse  uint8 = 3 // a pulse
)

// envelope frames every message between engines.
type envelope struct {
	Version uint8  `cbor:"1,keyasint"`
	Epoch   uint64 `cbor:"2,keyasint"`
	Kind    uint8  `cbor:"3,keyasint"`
	Body    []byte `cbor:"4,keyasint"`
}

// pulse tells the others how far a validator has come. It is also the sign of life of a quiet follower.
type pulse struct {
	Head ledger.Height `cbor:"1,keyasint"`
	stand
}

// stand is what a kernel says about itself: its view, and the height in work, or decided last, in that view.
type stand struct {
	View   uint64        `cbor:"2,keyasint"`
	Height ledger.Height `cbor:"3,keyasint"`
}

func encodeEnvelope(epoch uint64, kind uint8, body []byte) []byte {
	return codec.MustMarshal(&envelope{Version: wireVersion, Epoch: epoch, Kind: kind, Body: body})
}

func decodeEnvelope(b []byte) (*envelope, error) {
	if len(b) > messageBytesMax {
		return nil, fmt.Errorf("a message of %d bytes", len(b))
	}
	var e envelope
	if err := codec.Unmarshal(b, &e); err != nil {
		return nil, err
	}
	if e.Version != wireVersion || e.Kind < kindKernel || e.Kind > kindPulse {
		return nil, fmt.Errorf("a message of version %d and kind %d", e.Version, e.Kind)
	}
	return &e, nil
}

func decodePulse(b []byte) (*pulse, error) {
	var p pulse
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// fieldsMax bounds the fields of a kernel message, nested ones included: 64 statements of a view change with 64
// signatures each fit. A field takes fieldBytes on average, fieldsFree aside: what the kernel sends many of are signatures. Both bound
// what decoding allocates, the latter by what was sent.
const (
	fieldsMax  = 40_000
	fieldBytes = 16
	fieldsFree = 64
)

// errForm reports a kernel message of a form that the kernel itself never sends.
var errForm = errors.New("malformed")

// kernelMessage returns the message of the kernel that e holds, in a network of so many validators.
func (e *envelope) kernelMessage(validators int) (*smartbftprotos.Message, error) {
	if e.Kind != kindPacked {
		return decodeKernel(e.Body)
	}
	b, err := unpack(e.Body, unpackedMax(validators))
	if err != nil {
		return nil, err
	}
	return decodeKernel(b)
}

// decodeKernel decodes a kernel message strictly: known fields only, single fields once, of their type.
func decodeKernel(b []byte) (*smartbftprotos.Message, error) {
	m := &smartbftprotos.Message{}
	if err := decodeStrict(b, m); err != nil {
		return nil, err
	}
	if m.Content == nil {
		return nil, fmt.Errorf("%w: no content", errForm)
	}
	return m, nil
}

// decodeStrict decodes b into m, which may be any message of the kernel.
func decodeStrict(b []byte, m proto.Message) error {
	left := min(fieldsMax, fieldsFree+len(b)/fieldBytes)
	if err := checkFields(b, m.ProtoReflect().Descriptor(), &left); err != nil {
		return err
	}
	if err := proto.Unmarshal(b, m); err != nil {
		return fmt.Errorf("%w: %w", errForm, err)
	}
	return nil
}

// checkFields walks an encoded message without decoding it. left counts down the fields that are still allowed.
func checkFields(b []byte, desc protoreflect.MessageDescriptor, left *int) error {
	seen := map[protoreflect.FieldNumber]bool{}
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", errForm, protowire.ParseError(n))
		}
		b = b[n:]
		field := desc.Fields().ByNumber(number)
		if *left--; field == nil || *left < 0 {
			return fmt.Errorf("%w: field %d of %s is unknown, or there are too many", errForm, number, desc.Name())
		}
		key := number
		if o := field.ContainingOneof(); o != nil {
			key = -1 // one member of a oneof excludes the others
		}
		if seen[key] && !field.IsList() {
			return fmt.Errorf("%w: field %s twice", errForm, field.Name())
		}
		seen[key] = true
		value, n, err := fieldValue(b, field, typ)
		if err != nil {
			return err
		}
		b = b[n:]
		if field.Message() != nil {
			if err := checkFields(value, field.Message(), left); err != nil {
				return err
			}
		}
	}
	return nil
}

// fieldValue returns the bytes of a field that has a length, and how many bytes the field takes.
func fieldValue(b []byte, field protoreflect.FieldDescriptor, typ protowire.Type) (value []byte, n int, err error) {
	want := protowire.BytesType
	if k := field.Kind(); k == protoreflect.Uint64Kind || k == protoreflect.BoolKind || k == protoreflect.EnumKind {
		want = protowire.VarintType
	}
	if field.IsList() && field.Message() == nil { // the kernel's only lists of numbers are unused with rotation off
		return nil, 0, fmt.Errorf("%w: field %s must be empty", errForm, field.Name())
	}
	if typ != want {
		return nil, 0, fmt.Errorf("%w: field %s has wire type %d", errForm, field.Name(), typ)
	}
	if want == protowire.VarintType {
		_, n = protowire.ConsumeVarint(b)
	} else {
		value, n = protowire.ConsumeBytes(b)
	}
	if n < 0 {
		return nil, 0, fmt.Errorf("%w: field %s: %w", errForm, field.Name(), protowire.ParseError(n))
	}
	return value, n, nil
}

// kindOf names a kernel message for the log.
func kindOf(m *smartbftprotos.Message) string {
	switch c := m.GetContent().(type) {
	case *smartbftprotos.Message_PrePrepare:
		return fmt.Sprintf("pre-prepare of view %d, height %d", c.PrePrepare.GetView(), c.PrePrepare.GetSeq())
	case *smartbftprotos.Message_Prepare:
		return fmt.Sprintf("prepare of view %d, height %d", c.Prepare.GetView(), c.Prepare.GetSeq())
	case *smartbftprotos.Message_Commit:
		return fmt.Sprintf("commit of view %d, height %d", c.Commit.GetView(), c.Commit.GetSeq())
	case *smartbftprotos.Message_ViewChange:
		return fmt.Sprintf("view change to %d", c.ViewChange.GetNextView())
	case *smartbftprotos.Message_ViewData:
		return "view data"
	case *smartbftprotos.Message_NewView:
		return "new view"
	case *smartbftprotos.Message_HeartBeat:
		return fmt.Sprintf("heartbeat of view %d, height %d", c.HeartBeat.GetView(), c.HeartBeat.GetSeq())
	case *smartbftprotos.Message_HeartBeatResponse:
		return fmt.Sprintf("heartbeat response of view %d", c.HeartBeatResponse.GetView())
	case *smartbftprotos.Message_StateTransferRequest:
		return "state request"
	case *smartbftprotos.Message_StateTransferResponse:
		return fmt.Sprintf("state response of view %d, height %d", c.StateTransferResponse.GetViewNum(), c.StateTransferResponse.GetSequence())
	}
	return "empty message"
}
