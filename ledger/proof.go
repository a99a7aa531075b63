package ledger

import (
	"errors"
	"fmt"
	"slices"

	"aval/codec"
	"aval/merkle"
	"aval/suite"
)

// ProofVersion is the version of proof files of this protocol.
const ProofVersion = 1

// ProofKind says what a proof shows.
type ProofKind uint8

// The kinds.
const (
	// ProofReceipt shows what became of one transaction; its subject is a ReceiptSubject.
	ProofReceipt ProofKind = 1
	// ProofState shows the value of one state key, or that it has none; its subject is a StateSubject.
	ProofState ProofKind = 2
)

// Proof shows something about a network to whoever has its genesis, or an epoch pinned before, and nothing else. It has
// no field that is not signed for or fixed by the form, so that no byte of it can change without notice.
//
// The roots in a header are those of Lag heights before. So a receipt or value as of height h is certified by the header
// of h + Lag.
type Proof struct {
	Version uint8     `cbor:"1,keyasint" json:"version"`
	Kind    ProofKind `cbor:"2,keyasint" json:"kind"`
	// Steps are the changes of validators from the start, or from the verifier's pinned epoch, to Header's epoch.
	Steps []ProofStep `cbor:"3,keyasint" json:"steps"`
	// Header commits to the subject; Certificate is a quorum of votes for it.
	Header      Header      `cbor:"4,keyasint" json:"header"`
	Certificate Certificate `cbor:"5,keyasint" json:"certificate"`
	// Subject is the encoding of the type that Kind names.
	Subject codec.RawMessage `cbor:"6,keyasint" json:"-"`
}

// ProofStep is the last certified header of one epoch with the validators of the next.
type ProofStep struct {
	Header      Header       `cbor:"1,keyasint" json:"header"`
	Certificate Certificate  `cbor:"2,keyasint" json:"certificate"`
	Next        ValidatorSet `cbor:"3,keyasint" json:"next"`
}

// ReceiptSubject is a receipt and its place under the receipts root of its height.
type ReceiptSubject struct {
	Receipt Receipt      `cbor:"1,keyasint" json:"receipt"`
	Path    merkle.Proof `cbor:"2,keyasint" json:"path"`
}

// StateSubject is a raw state key and what stands under it, as of the height whose state root the header has.
type StateSubject struct {
	Key  []byte            `cbor:"1,keyasint" json:"key"`
	Path merkle.StateProof `cbor:"2,keyasint" json:"path"`
}

// NewReceiptProof makes the proof of r, the receipt at index r.Index of its block, whose encoded receipts are leaves.
func NewReceiptProof(s suite.Suite, steps []ProofStep, h Header, c Certificate, r *Receipt, leaves [][]byte) (*Proof, error) {
	path, err := merkle.Prove(s, leaves, int(r.Index))
	if err != nil {
		return nil, err
	}
	subject, err := codec.Marshal(&ReceiptSubject{Receipt: *r, Path: *path})
	if err != nil {
		return nil, err
	}
	return &Proof{ProofVersion, ProofReceipt, steps, h, c, subject}, nil
}

// NewStateProof makes the proof of what stands under key in the state of height h.Height − Lag.
func NewStateProof(steps []ProofStep, h Header, c Certificate, key []byte, path *merkle.StateProof) (*Proof, error) {
	subject, err := codec.Marshal(&StateSubject{Key: key, Path: *path})
	if err != nil {
		return nil, err
	}
	return &Proof{ProofVersion, ProofState, steps, h, c, subject}, nil
}

// DecodeProof strictly decodes a proof file of at most ProofBytesMax bytes.
func DecodeProof(b []byte) (*Proof, error) {
	if len(b) > ProofBytesMax {
		return nil, fmt.Errorf("the proof has %d bytes, the most is %d", len(b), ProofBytesMax)
	}
	var p Proof
	if err := codec.Unmarshal(b, &p); err != nil {
		return nil, err
	}
	if p.Version != ProofVersion {
		return nil, fmt.Errorf("proof version %d is not %d", p.Version, ProofVersion)
	}
	if len(p.Steps) > ProofStepsMax {
		return nil, fmt.Errorf("the proof has %d changes of validators, the most is %d", len(p.Steps), ProofStepsMax)
	}
	return &p, nil
}

// Why a proof is not accepted, besides being wrong.
var (
	// ErrLabProof reports a proof from a network whose clock can be moved, which was not asked for.
	ErrLabProof = errors.New("the proof is from a lab network, whose clock can be moved")
	// ErrStaleProof reports a proof that is right but older than asked.
	ErrStaleProof = errors.New("the proof is too old")
)

// Pin is the newest epoch that a verifier has seen proven. It protects against validators of long ago.
type Pin struct {
	Network suite.Hash `cbor:"1,keyasint" json:"network"`
	Epoch   uint64     `cbor:"2,keyasint" json:"epoch,string"`
	// Height is that of the newest header verified in this epoch; 0 for the genesis itself.
	Height     Height       `cbor:"3,keyasint" json:"height"`
	Validators ValidatorSet `cbor:"4,keyasint" json:"validators"`
}

// GenesisPin returns the pin with which every verifier begins: epoch 0 and the validators of the genesis.
func GenesisPin(s suite.Suite, g *Genesis) Pin {
	return Pin{Network: g.NetworkID(s), Validators: slices.Clone(g.Validators)}
}

// VerifyOptions say what a verifier accepts.
type VerifyOptions struct {
	// Lab accepts proofs from lab networks.
	Lab bool
	// MaxAge refuses proofs whose header is older than this at Now, ones from the future and ones of an epoch before the pinned one;
	// 0 accepts any age. Both are wall time.
	MaxAge Time
	Now    Time
	// Pin is the newest epoch verified before; nil begins with the genesis.
	Pin *Pin
}

// Verdict is what a valid proof shows.
type Verdict struct {
	Kind        ProofKind
	Network     suite.Hash
	NetworkName string
	Lab         bool
	// Height is that of which the subject speaks; Header is the one that certifies it, Lag above.
	Height Height
	Header Header
	// Signers are the names of the validators that signed Header.
	Signers []string
	// Receipt is the subject of a ProofReceipt.
	Receipt *Receipt
	// Key, Value, Written and Present are the subject of a ProofState. Written is the height that wrote, or deleted.
	Key     []byte
	Value   []byte
	Written Height
	Present bool
	// Pin is what the verifier should pin now.
	Pin Pin
}

// VerifyProof checks every signature and every hash in p against the genesis. A stale proof yields its verdict together
// with an error that wraps ErrStaleProof; every other error means that the proof shows nothing.
func VerifyProof(s suite.Suite, g *Genesis, p *Proof, o VerifyOptions) (*Verdict, error) {
	if g.Clock != ClockReal && !o.Lab {
		return nil, ErrLabProof
	}
	pin, err := verifySteps(s, g, p, o.Pin)
	if err != nil {
		return nil, err
	}
	if err := checkProofHeader(s, g, &p.Header, &pin); err != nil {
		return nil, err
	}
	if o.Pin != nil && p.Header.Epoch < o.Pin.Epoch && p.Header.Height >= o.Pin.Height {
		return nil, fmt.Errorf("the header of height %d is of epoch %d, which ended below height %d of the pinned epoch %d",
			p.Header.Height, p.Header.Epoch, o.Pin.Height, o.Pin.Epoch)
	}
	if err := VerifyCertificate(s, pin.Validators, &p.Header, &p.Certificate); err != nil {
		return nil, err
	}
	if p.Header.Height < Lag {
		return nil, fmt.Errorf("the header of height %d commits to nothing yet", p.Header.Height)
	}
	v := &Verdict{Kind: p.Kind, Network: p.Header.Network, NetworkName: g.Name, Lab: g.Clock != ClockReal,
		Height: p.Header.Height - Lag, Header: p.Header}
	for _, vote := range p.Certificate.Votes {
		v.Signers = append(v.Signers, pin.Validators[vote.Validator].Name)
	}
	if err := v.verifySubject(s, p); err != nil {
		return nil, err
	}
	pin.Height = p.Header.Height
	if o.Pin != nil && (o.Pin.Epoch > pin.Epoch || o.Pin.Epoch == pin.Epoch && o.Pin.Height > pin.Height) {
		pin = *o.Pin
	}
	v.Pin = pin
	return v, checkAge(&p.Header, o)
}

// verifySteps walks the changes of validators and returns the epoch that certifies the proof's header.
func verifySteps(s suite.Suite, g *Genesis, p *Proof, pinned *Pin) (Pin, error) {
	at := GenesisPin(s, g)
	first := p.Header.Epoch
	if len(p.Steps) > 0 {
		first = p.Steps[0].Header.Epoch
	}
	if pinned != nil {
		if pinned.Network != at.Network {
			return Pin{}, errors.New("the pinned epoch is of another network")
		}
		if first >= pinned.Epoch && first > 0 {
			at = *pinned
			at.Height = 0
		}
	}
	for i := range p.Steps {
		step := &p.Steps[i]
		if err := checkProofHeader(s, g, &step.Header, &at); err != nil {
			return Pin{}, err
		}
		if err := VerifyCertificate(s, at.Validators, &step.Header, &step.Certificate); err != nil {
			return Pin{}, err
		}
		next := step.Next.Hash(s)
		if next != step.Header.NextValidators || next == step.Header.Validators || len(step.Next) == 0 {
			return Pin{}, fmt.Errorf("block %d does not hand over to the validators that follow it", step.Header.Height)
		}
		at = Pin{Network: at.Network, Epoch: at.Epoch + 1, Height: step.Header.Height, Validators: step.Next}
		if pinned != nil && at.Epoch == pinned.Epoch && next != pinned.Validators.Hash(s) {
			return Pin{}, fmt.Errorf("epoch %d has other validators than the pinned ones", at.Epoch)
		}
	}
	return at, nil
}

// checkProofHeader checks what a certificate alone does not: that h belongs to this network and follows at.
func checkProofHeader(s suite.Suite, g *Genesis, h *Header, at *Pin) error {
	switch {
	case h.Version != HeaderVersion:
		return fmt.Errorf("header version %d is not %d", h.Version, HeaderVersion)
	case h.Suite != s.ID() || g.Suite != s.ID():
		return fmt.Errorf("the header is of suite %d, the network of suite %d", h.Suite, g.Suite)
	case h.Network != at.Network:
		return fmt.Errorf("the header is of network %s, the genesis is of %s", h.Network, at.Network)
	case h.Epoch != at.Epoch:
		return fmt.Errorf("the header is of epoch %d, the proof leads to epoch %d", h.Epoch, at.Epoch)
	case h.Height <= at.Height:
		return fmt.Errorf("the header of height %d does not follow height %d", h.Height, at.Height)
	}
	return nil
}

func (v *Verdict) verifySubject(s suite.Suite, p *Proof) error {
	switch p.Kind {
	case ProofReceipt:
		var subject ReceiptSubject
		if err := codec.Unmarshal(p.Subject, &subject); err != nil {
			return err
		}
		leaf := codec.MustMarshal(&subject.Receipt)
		if err := merkle.Verify(s, p.Header.ReceiptsRoot, leaf, &subject.Path); err != nil {
			return err
		}
		if subject.Receipt.Height != v.Height || uint64(subject.Receipt.Index) != subject.Path.Index {
			return errors.New("the receipt is not of the height and index that the header commits to")
		}
		v.Receipt = &subject.Receipt
	case ProofState:
		var subject StateSubject
		if err := codec.Unmarshal(p.Subject, &subject); err != nil {
			return err
		}
		value, written, present, err := merkle.VerifyState(s, p.Header.StateRoot, &subject.Path, subject.Key)
		if err != nil {
			return err
		}
		v.Key, v.Value, v.Written, v.Present = subject.Key, value, Height(written), present
	default:
		return fmt.Errorf("proof kind %d is unknown", p.Kind)
	}
	return nil
}

func checkAge(h *Header, o VerifyOptions) error {
	switch {
	case o.MaxAge == 0:
		return nil
	case o.Pin != nil && h.Epoch < o.Pin.Epoch:
		return fmt.Errorf("%w: epoch %d was over before the pinned epoch %d, whatever time its header names", ErrStaleProof, h.Epoch, o.Pin.Epoch)
	case h.Wall > o.Now+Minute:
		return fmt.Errorf("%w to judge: its header of %s lies in the future of this clock", ErrStaleProof, h.Wall)
	case h.Wall < o.Now-o.MaxAge:
		return fmt.Errorf("%w: its header is of %s", ErrStaleProof, h.Wall)
	}
	return nil
}
