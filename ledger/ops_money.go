package ledger

import "aval/suite"

// AccountOpen opens an account of Holder with the acting bank; the holder signs too. The first account becomes the holder's
// settlement account.
type AccountOpen struct {
	Holder PartyID `cbor:"1,keyasint" json:"holder"`
}

// Kind returns KindAccountOpen.
func (*AccountOpen) Kind() Kind { return KindAccountOpen }

// MoneyMint credits Holder with new money of the acting bank, which thereby owes it.
type MoneyMint struct {
	Holder PartyID `cbor:"1,keyasint" json:"holder"`
	Amount Fen     `cbor:"2,keyasint" json:"amount"`
	Ref    string  `cbor:"3,keyasint" json:"ref"` // the bank's own reference
}

// Kind returns KindMoneyMint.
func (*MoneyMint) Kind() Kind { return KindMoneyMint }

// MoneyBurn debits Holder and extinguishes that much of the acting bank's debt; the holder signs too.
type MoneyBurn struct {
	Holder PartyID `cbor:"1,keyasint" json:"holder"`
	Amount Fen     `cbor:"2,keyasint" json:"amount"`
	Ref    string  `cbor:"3,keyasint" json:"ref"`
}

// Kind returns KindMoneyBurn.
func (*MoneyBurn) Kind() Kind { return KindMoneyBurn }

// MoneyTransfer pays from the acting party's account with Bank to the account of To with ToBank. Between two banks it burns, mints
// and books an obligation under their mandate.
type MoneyTransfer struct {
	Bank   PartyID `cbor:"1,keyasint" json:"bank"`
	To     PartyID `cbor:"2,keyasint" json:"to"`
	ToBank PartyID `cbor:"3,keyasint" json:"to_bank"`
	Amount Fen     `cbor:"4,keyasint" json:"amount"`
	Ref    string  `cbor:"5,keyasint" json:"ref"`
}

// Kind returns KindMoneyTransfer.
func (*MoneyTransfer) Kind() Kind { return KindMoneyTransfer }

// MoneyHold sets money of the acting party aside for Beneficiary.
type MoneyHold struct {
	Bank        PartyID `cbor:"1,keyasint" json:"bank"`
	Beneficiary PartyID `cbor:"2,keyasint" json:"beneficiary"`
	Amount      Fen     `cbor:"3,keyasint" json:"amount"`
	Ref         string  `cbor:"4,keyasint" json:"ref"`
}

// Kind returns KindMoneyHold.
func (*MoneyHold) Kind() Kind { return KindMoneyHold }

// HoldEnd ends a hold: Pay true pays the beneficiary, false gives back to the owner. Who may act depends on why the money is held:
//
//   - set aside by its owner: the owner may pay, the beneficiary may give back;
//   - frozen: its court alone, either way. If others' control follows (Hold.Next), the court may only let go, by Pay, and the
//     next one in turn controls the hold;
//   - pledged and deposited by the holder: the pledgee either way, the owner may pay the pledgee;
//   - pledged and still with the issuer's bank: the pledgee alone, which lets the holder have it by Pay;
//   - could not be paid out: the issuer or its bank may pay, the beneficiary may give back.
type HoldEnd struct {
	Hold suite.Hash `cbor:"1,keyasint" json:"hold"`
	Pay  bool       `cbor:"2,keyasint" json:"pay"`
}

// Kind returns KindHoldEnd.
func (*HoldEnd) Kind() Kind { return KindHoldEnd }

// MandateGrant lets money of the acting bank be paid into Creditor's: the acting bank then owes Creditor, up to Cap. Creditor
// signs too. A new grant replaces Cap and NotAfter and keeps what is owed.
type MandateGrant struct {
	Creditor PartyID `cbor:"1,keyasint" json:"creditor"`
	Cap      Fen     `cbor:"2,keyasint" json:"cap"`
	NotAfter Date    `cbor:"3,keyasint" json:"not_after"`
}

// Kind returns KindMandateGrant.
func (*MandateGrant) Kind() Kind { return KindMandateGrant }

// MandateSettle records that Debtor has settled Amount of what it owes the acting bank outside the ledger; Debtor signs too.
type MandateSettle struct {
	Debtor PartyID `cbor:"1,keyasint" json:"debtor"`
	Amount Fen     `cbor:"2,keyasint" json:"amount"`
	Ref    string  `cbor:"3,keyasint" json:"ref"`
}

// Kind returns KindMandateSettle.
func (*MandateSettle) Kind() Kind { return KindMandateSettle }
