package api

import (
	"aval/ledger"
	"aval/suite"
)

// Network describes the network that a node serves.
type Network struct {
	Name string `json:"name" doc:"Name of the network" example:"aval-demo"`
	// ID is the network id, which is the hash of the genesis.
	ID    suite.Hash `json:"id" doc:"Network id: the hash of the genesis"`
	Suite string     `json:"suite" enum:"sm,intl" doc:"Crypto suite"`
	Clock string     `json:"clock" enum:"real,lab" doc:"How ledger time runs"`
	// Banner is shown wherever a lab network is shown; empty on a real one.
	Banner string      `json:"banner" doc:"What every screen of a lab network shows"`
	Time   ledger.Time `json:"time" doc:"Ledger time of the newest executed block, ms since 1970"`
	Wall   ledger.Time `json:"wall" doc:"This node's clock, ms since 1970"`
	// Offset is the lab clock's lead over wall time as of that block: the ledger time now is wall time plus Offset.
	Offset ledger.Time `json:"offset_ms" doc:"Ledger time minus wall time, ms; 0 under a real clock"`
	// Height is the newest committed height.
	Height     ledger.Height       `json:"height" doc:"Newest committed height"`
	Epoch      uint64              `json:"epoch,string" doc:"Epoch of the validators"`
	Validators ledger.ValidatorSet `json:"validators" nullable:"false" doc:"The validators of this epoch"`
	Genesis    GenesisSummary      `json:"genesis" doc:"What the genesis fixed"`
}

// GenesisSummary is what a genesis fixed, keys and people aside.
type GenesisSummary struct {
	Wall      ledger.Time             `json:"wall" doc:"When the network began, ms since 1970"`
	Start     ledger.Time             `json:"start" doc:"The ledger time then"`
	Authority ledger.PartyID          `json:"authority" doc:"Legal id of the root authority"`
	Issuers   []ledger.IdentityIssuer `json:"issuers" nullable:"false" doc:"Accredited identity issuers"`
	Params    ledger.Params           `json:"params" doc:"Parameters"`
}

// LabBanner is the banner of every lab network.
const LabBanner = "LAB NETWORK: the clock can be moved; nothing here is a real obligation"

// Status is what an operator asks first.
type Status struct {
	Node    NodeInfo `json:"node"`
	Network Network  `json:"network"`
	Heights Heights  `json:"heights"`
	Engine  Engine   `json:"engine"`
	// Cause says in words why nothing commits; empty while all is well or nothing is waiting. It joins the texts of Causes.
	Cause string `json:"cause" doc:"Why nothing commits, in words; empty if nothing is wrong"`
	// Causes are what is wrong, one by one, the worst first.
	Causes []Cause `json:"causes" nullable:"false" doc:"What is wrong, one by one, the worst first"`
	Load   Load    `json:"load"`
	Peers  []Peer  `json:"peers" nullable:"false"`
	Disk   Disk    `json:"disk"`
}

// CauseCode names a kind of trouble for programs. Names are added and never change their meaning.
type CauseCode string

// The kinds of trouble.
const (
	// CauseBroken: the node stopped executing rather than diverge.
	CauseBroken CauseCode = "broken"
	// CauseQuorumLost: the validators that can be reached, or were heard of late, are no quorum.
	CauseQuorumLost CauseCode = "quorum_lost"
	// CauseVotesMissing: a block is proposed, and some validators do not vote for it.
	CauseVotesMissing CauseCode = "votes_missing"
	// CauseNotOrdering: requests wait although a quorum is there: a view change, a slow leader, an engine that starts again.
	CauseNotOrdering CauseCode = "not_ordering"
	// CauseObserving: this validator does not vote until certified blocks have passed what it could have voted on.
	CauseObserving CauseCode = "observing"
	// CauseBehind: the peers have blocks that this node lacks, or it has blocks that it has not executed.
	CauseBehind CauseCode = "behind"
	// CauseOtherGenesis: a peer is on another network, that is on another genesis.
	CauseOtherGenesis CauseCode = "other_genesis"
	// CauseWrongKey: a peer has, or expects, another node key.
	CauseWrongKey CauseCode = "wrong_key"
	// CauseUnreachable: a peer does not answer at its address.
	CauseUnreachable CauseCode = "unreachable"
	// CauseIncompatible: a peer speaks another version, uses another crypto suite, or breaks the protocol.
	CauseIncompatible CauseCode = "incompatible"
	// CauseClockSkew: clocks differ so much that votes are, or soon will be, refused.
	CauseClockSkew CauseCode = "clock_skew"
	// CauseDiskFull, CauseDiskNearlyFull, CauseDiskReadOnly and CauseDiskSlow are of the file system of the data directory.
	CauseDiskFull       CauseCode = "disk_full"
	CauseDiskNearlyFull CauseCode = "disk_nearly_full"
	CauseDiskReadOnly   CauseCode = "disk_read_only"
	CauseDiskSlow       CauseCode = "disk_slow"
	// CauseOverload: transactions are turned away because too many wait.
	CauseOverload CauseCode = "overload"
	// CauseFalseAttestation: validators signed for a batch with an invalid signature; the proof is in the data directory.
	CauseFalseAttestation CauseCode = "false_attestation"
)

// Cause is one thing that is wrong.
type Cause struct {
	Code CauseCode `json:"code" doc:"Stable name" example:"quorum_lost"`
	// Fails tells what stops the network or this node from what may come to that.
	Fails bool `json:"fails" doc:"True if it stops the network or this node, false if it may come to that"`
	// Text says it to a person, Next what to do.
	Text string `json:"text" doc:"What is wrong, in words"`
	Next string `json:"next" doc:"What to do next"`
}

// Load is how busy the intake is.
type Load struct {
	Pending uint32 `json:"pending" doc:"Transactions admitted and not yet executed"`
	Limit   uint32 `json:"limit" doc:"How many may be, at the present pace"`
	// Refused counts since the start.
	Refused uint64 `json:"refused,string" doc:"Transactions turned away since the start because too many waited"`
}

// NodeInfo describes the node that answers.
type NodeInfo struct {
	Name    string          `json:"name" example:"validator-0"`
	Role    string          `json:"role" enum:"validator,gateway,dev" doc:"What the node does"`
	Key     suite.PublicKey `json:"key" doc:"The node's public key"`
	Version string          `json:"version" doc:"Version of the program"`
	// Started is wall time.
	Started ledger.Time `json:"started" doc:"When the node started, ms since 1970"`
}

// Heights says how far the node has come. Invariant: Proven ≤ Executed ≤ Committed.
type Heights struct {
	Committed ledger.Height `json:"committed" doc:"Newest certified block"`
	Executed  ledger.Height `json:"executed" doc:"Newest executed block"`
	Proven    ledger.Height `json:"proven" doc:"Newest block whose receipts a certified header commits to"`
	// Network is the highest committed height that a peer has announced.
	Network ledger.Height `json:"network" doc:"Newest height that any peer has announced"`
	// LastCommit is the wall time of the newest commit.
	LastCommit ledger.Time `json:"last_commit" doc:"When the newest block was committed here, ms since 1970"`
	// First is the lowest height of which block and receipts are kept, Snapshot that of the newest snapshot, 0 if there is none.
	First    ledger.Height `json:"first" doc:"Lowest height whose block and receipts this node keeps, 1 if all"`
	Snapshot ledger.Height `json:"snapshot" doc:"Height of the newest snapshot that this node offers to its peers, 0 if none"`
}

// Engine is the state of ordering at this node.
type Engine struct {
	Name string `json:"name" enum:"bft,solo,none" doc:"none on a node that only follows"`
	View uint64 `json:"view,string" doc:"View of the engine"`
	// Leader is the name of the validator that proposes in this view.
	Leader    string `json:"leader" doc:"Name of the leading validator"`
	Observing bool   `json:"observing" doc:"True while the node may not vote because its log was lost or restored"`
	// ObserveUntil is the height from which it votes again.
	ObserveUntil ledger.Height `json:"observe_until" doc:"Height from which an observing node votes again; 0 while that is not known yet"`
	Pending      int           `json:"pending" doc:"Requests that wait to be ordered"`
	// Awaited are the validators whose votes for the block in work have not come.
	Awaited []string `json:"awaited" nullable:"false" doc:"Validators whose votes for the block in work have not come, once that takes long"`
}

// Peer is one link to another node.
type Peer struct {
	Name      string          `json:"name"`
	Role      string          `json:"role" enum:"validator,gateway"`
	Key       suite.PublicKey `json:"key"`
	Address   string          `json:"address" doc:"host:port"`
	Connected bool            `json:"connected"`
	// Height is what the peer last announced, 0 if it never did.
	Height ledger.Height `json:"height"`
	// Skew is the peer's clock minus ours, in ms, as estimated over the link.
	Skew ledger.Time `json:"clock_skew_ms" doc:"The peer's clock minus ours, ms"`
	// Error is why the last attempt to connect failed, Cause the same in one word.
	Error string `json:"error" doc:"Why the link is down"`
	Cause string `json:"cause" doc:"The same in one word: transport, network, unlisted, wrong_peer, proof, version, suite …; empty if there is none" example:"network"`
}

// Disk is how much room the node uses and has.
type Disk struct {
	DataBytes  uint64 `json:"data_bytes,string" doc:"What the data directory takes"`
	FreeBytes  uint64 `json:"free_bytes,string" doc:"What the file system has left"`
	TotalBytes uint64 `json:"total_bytes,string" doc:"What the file system holds in all"`
	// SyncMs is how long a small write took to reach the disk, 0 if it was not tried yet.
	SyncMs uint32 `json:"sync_ms" doc:"How long a small write took to reach the disk, ms"`
	// Error is why that write failed.
	Error string `json:"error" doc:"Why a small write to the data directory failed; empty if it did not"`
}

// Block is a header with its certificate and what the block did.
type Block struct {
	Hash        suite.Hash         `json:"hash" doc:"Block hash"`
	Header      ledger.Header      `json:"header"`
	Certificate ledger.Certificate `json:"certificate"`
	// Signers are the names of the validators in the certificate, in its order.
	Signers  []string       `json:"signers" nullable:"false"`
	Receipts []BlockReceipt `json:"receipts" nullable:"false" doc:"What became of each transaction, in block order"`
}

// BlockReceipt is a receipt in brief.
type BlockReceipt struct {
	Tx       suite.Hash  `json:"tx"`
	Signed   suite.Hash  `json:"signed"`
	Boundary bool        `json:"boundary" doc:"Due-date work at the block boundary, not a transaction"`
	Code     ledger.Code `json:"code"`
	Name     string      `json:"name" doc:"Stable name of the code"`
}

// Health is the answer of /healthz: 200 if OK, else 503.
type Health struct {
	OK     bool          `json:"ok"`
	Cause  string        `json:"cause" doc:"What is wrong, in words"`
	Height ledger.Height `json:"height" doc:"Newest committed height"`
}
