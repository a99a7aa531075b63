package ledger

import "aval/suite"

// The domains under which the ledger hashes and signs. Each is used for one purpose only.
const (
	DomainNetwork      suite.Domain = "network"      // hash of the genesis: the network id
	DomainTx           suite.Domain = "tx"           // hash of an encoded Tx: its id
	DomainSignedTx     suite.Domain = "signed tx"    // hash of an encoded SignedTx, signatures included
	DomainTxSignature  suite.Domain = "tx signature" // signature over a transaction id
	DomainBatch        suite.Domain = "batch"        // batch digest
	DomainBatchAck     suite.Domain = "batch ack"    // signature of a validator over an AckMessage
	DomainHeader       suite.Domain = "header"       // block hash
	DomainPayload      suite.Domain = "payload"      // hash of the exact payload bytes
	DomainProposal     suite.Domain = "proposal"     // hash of engine metadata and verification sequence
	DomainVote         suite.Domain = "vote"         // signature of a validator over a VoteMessage
	DomainValidators   suite.Domain = "validators"   // hash of a validator set
	DomainCredential   suite.Domain = "credential"   // signature of an identity issuer over a credential
	DomainPerson       suite.Domain = "person"       // person commitment
	DomainInvoice      suite.Domain = "invoice"      // fingerprint of a canonicalised invoice number
	DomainInvoiceTwin  suite.Domain = "invoice twin" // second tag over seller, buyer, amount and date
	DomainDerivedID    suite.Domain = "id"           // ids of vouchers, offers, requests, quotes, holds, proposals
	DomainStateKey     suite.Domain = "state key"    // place of a raw key in the state tree
	DomainPeerLink     suite.Domain = "peer link"    // proof of a node key over a channel's exporter
	DomainKeyFile      suite.Domain = "key file"     // additional data of a sealed private key
	DomainDocument     suite.Domain = "document"     // fingerprint of a contract, receipt, order or other document
	DomainPeerTransfer suite.Domain = "peer message" // signed node-to-node statements outside consensus
)
