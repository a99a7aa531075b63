// Package snapshot writes what a node needs to go on from a height into a file, and verifies such files against nothing but the
// genesis before anything in them is used.
//
// # File
//
//	"AVALSNP1" ‖ chunks ‖ manifest ‖ length of the manifest, 8 bytes big-endian ‖ "AVALSNP1"
//
// The manifest and each chunk are one value of package codec. The manifest has the certified header that commits to the state's
// root, Lag above the height of the snapshot, and lists the chunks with their kinds, sizes and hashes. Chunks follow in the order of
// their kinds:
//
//	1  blocks with certificates, from before the window in which ordered and spent ids are remembered up to the certified header
//	2  receipts of every height in the replay window up to the snapshot's
//	3  batches of the Lag blocks above the height, which whoever restores it executes
//	4  leaves of the state in order of their places, with the stubs that lead to the state root
//
// Every chunk is verified alone, as it comes: a block by its certificate, a batch by its digest, leaves by their range
// (merkle.VerifyRange); receipts of a height by its receipts root once they are complete. So a lie is noticed where it is told, and
// costs one chunk. For one height all honest nodes write the same chunks, certificates aside, so that a chunk begun with one peer
// may be had from another.
package snapshot
