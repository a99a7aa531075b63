package ledger

// The limits of the protocol. Changing one that execution or validation reads is a protocol change.
// How they relate is tested in limits_test.go.
const (
	// Lag is how many heights the roots in a header stand behind it.
	Lag = 2

	// TxBytesMax bounds an encoded SignedTx.
	TxBytesMax = 64 << 10
	// TxOpsMax bounds the operations of one transaction.
	TxOpsMax = 32
	// TxSignaturesMax bounds the signatures of one transaction.
	TxSignaturesMax = 32
	// TxWindowMax is the longest time between a transaction's inclusion and its valid_until, in ms of wall time.
	TxWindowMax = 10 * Minute

	// BatchTxsMax and BatchBytesMax bound one batch.
	BatchTxsMax   = 4096
	BatchBytesMax = 2 << 20
	// BatchAgeMax is how long after its wall time a batch may still be proposed.
	BatchAgeMax = 15 * Minute
	// BatchCertificateBytesMax bounds an encoded BatchCertificate.
	BatchCertificateBytesMax = 8 << 10
	// BlockBatchesMax and BlockTicksMax bound what one block orders, BlockBytesMax the bytes of its batches together and
	// PayloadBytesMax its encoded Payload.
	BlockBatchesMax = 64
	BlockTicksMax   = 16
	BlockBytesMax   = 8 << 20
	PayloadBytesMax = 576 << 10
	// MetadataBytesMax bounds the engine's metadata in a block.
	MetadataBytesMax = 64 << 10

	// WallDriftMax is how far a fresh header's wall time may stand from a voter's clock.
	WallDriftMax = 500
	// AdvanceMax is the longest single step of the lab clock.
	AdvanceMax = 400 * Day

	// ValidatorsMax bounds the validators of one epoch, ObserversMax the full nodes that may follow.
	ValidatorsMax = 64
	ObserversMax  = 256
	// ValidatorsMin is the smallest validator set under the BFT engine: f = 1.
	ValidatorsMin = 4

	// NameBytesMax bounds names, TextBytesMax free text, RefBytesMax references of the parties' own.
	NameBytesMax = 128
	TextBytesMax = 1024
	RefBytesMax  = 64
	// ScopeBytesMax and ScopeDepthMax bound a scope path.
	ScopeBytesMax = 128
	ScopeDepthMax = 8
	// PartyIDBytesMax is the longest legal id, an LEI.
	PartyIDBytesMax = 20

	// MembersMax bounds the live member keys of one party, PoliciesMax its policies.
	MembersMax  = 64
	PoliciesMax = 16
	// PolicySignersMax bounds the signatures a policy may ask for.
	PolicySignersMax = 8
	// IssuersMax bounds the accredited identity issuers of a genesis.
	IssuersMax = 16

	// AmountMax is the largest amount: 10 trillion yuan, far below what 64 bits hold.
	AmountMax Fen = 1_000_000_000_000_000
	// RateBpsMax is the highest annual rate of a quote, 36 %.
	RateBpsMax = 3600

	// EvidenceUsesMax bounds the invoices one issue or offer draws on.
	EvidenceUsesMax = 32
	// OfferPartsMax bounds the parts one lot is cut into by one operation.
	OfferPartsMax = 32
	// VoucherLotsMax bounds the lots of one voucher, paid ones included.
	VoucherLotsMax = 1024
	// VoucherSplitsMax bounds the lots to which offers, requests and pledges cut one voucher, VoucherFreezesMax those to
	// which court orders do besides; payment in parts at most doubles them.
	VoucherSplitsMax  = 448
	VoucherFreezesMax = VoucherLotsMax / 2
	// LotDepthMax bounds the transfers of one lot.
	LotDepthMax = 64
	// FreezesMax bounds the court orders that may lie on one lot.
	FreezesMax = 8
	// TenorDaysMax is the longest tenor the protocol admits; rules may shorten it.
	TenorDaysMax = 366
	// OfferOpenMax is the longest time an offer, request or quote may stay open, in ms of ledger time.
	OfferOpenMax = 90 * Day
	// FundersMax bounds the funders a finance request addresses, QuotesMax the quotes it may receive.
	FundersMax = 32
	QuotesMax  = 64
	// ProposalOpenMax is the longest life of a stored proposal, ProposalApprovalsMax the keys that may approve it.
	ProposalOpenMax      = 90 * Day
	ProposalApprovalsMax = 16
	// ProposalBytesMax bounds the encoded operations of a stored proposal, ProposalPartiesMax the parties it names.
	ProposalBytesMax   = 48 << 10
	ProposalPartiesMax = 16

	// DueLotsPerBlock bounds the due-date work done at one block boundary, in lots; the voucher that crosses the bound is still
	// finished, so a block pays at most DueLotsPerBlock + VoucherFreezesMax lots, with up to four events each.
	DueLotsPerBlock = 448
	// ClosedDaysMax is the longest run of days on which banks are closed.
	ClosedDaysMax = 30
	// HolidaysMax bounds each list of a calendar.
	HolidaysMax = 1024

	// StateKeyBytesMax and StateValueBytesMax bound one state entry.
	StateKeyBytesMax   = 256
	StateValueBytesMax = 64 << 10
	// ReceiptEventsMax bounds the events of one receipt.
	ReceiptEventsMax = 4096
	// ProofBytesMax bounds an encoded proof file.
	ProofBytesMax = 1 << 20
	// ProofStepsMax bounds the changes of validators that one proof walks.
	ProofStepsMax = 256
	// GenesisBytesMax bounds an encoded genesis, which is a state value too.
	GenesisBytesMax = StateValueBytesMax
)
