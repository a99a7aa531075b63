package bench

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"aval/ledger"
)

// lane is transactions of which each may be submitted only when the one before has taken effect. Most workloads have lanes of
// one.
type lane struct {
	txs  [][]byte
	next int // index of the next to be submitted
}

// laneStepsMax bounds the transactions of one lane.
const laneStepsMax = 64

// appendLane appends a lane as it stands in a file: the number of its transactions, and each with its length, big-endian.
func appendLane(b []byte, txs [][]byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(txs)))
	for _, tx := range txs {
		b = binary.BigEndian.AppendUint32(b, uint32(len(tx)))
		b = append(b, tx...)
	}
	return b
}

// laneReader reads the lanes of several files, one file after another.
type laneReader struct {
	paths []string
	file  *os.File
	from  *bufio.Reader
}

// errDamaged reports a file of lanes that was cut or changed.
var errDamaged = errors.New("the file of transactions is damaged")

// read returns the next lane, or io.EOF after the last.
func (r *laneReader) read() (*lane, error) {
	for {
		if r.file == nil {
			if len(r.paths) == 0 {
				return nil, io.EOF
			}
			var err error
			if r.file, err = os.Open(r.paths[0]); err != nil {
				return nil, err
			}
			r.paths, r.from = r.paths[1:], bufio.NewReaderSize(r.file, 1<<20)
		}
		l, err := readLane(r.from)
		if !errors.Is(err, io.EOF) {
			return l, err
		}
		if err := r.close(); err != nil {
			return nil, err
		}
	}
}

func (r *laneReader) close() error {
	if r.file == nil {
		return nil
	}
	err := r.file.Close()
	r.file = nil
	return err
}

// readLane reads one lane; io.EOF means that there was none.
func readLane(from io.Reader) (*lane, error) {
	var head [4]byte
	if _, err := io.ReadFull(from, head[:2]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, io.EOF
		}
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	steps := int(binary.BigEndian.Uint16(head[:2]))
	if steps < 1 || steps > laneStepsMax {
		return nil, fmt.Errorf("%w: a lane of %d transactions", errDamaged, steps)
	}
	l := &lane{txs: make([][]byte, steps)}
	for i := range l.txs {
		if _, err := io.ReadFull(from, head[:]); err != nil {
			return nil, fmt.Errorf("%w: %v", errDamaged, err) //nolint:errorlint // io.EOF here is not the end of the lanes
		}
		size := binary.BigEndian.Uint32(head[:])
		if size > ledger.TxBytesMax {
			return nil, fmt.Errorf("%w: a transaction of %d bytes", errDamaged, size)
		}
		l.txs[i] = make([]byte, size)
		if _, err := io.ReadFull(from, l.txs[i]); err != nil {
			return nil, fmt.Errorf("%w: %v", errDamaged, err) //nolint:errorlint // likewise
		}
	}
	return l, nil
}
