package sm3lanes

import (
	"encoding/binary"
	"fmt"

	"github.com/emmansun/gmsm/sm3"
)

const (
	// Size is the number of bytes of a digest.
	Size = 32

	blockSize = 64
	// padMin is the least padding: a bit that is set, and the length in bits.
	padMin = 9
	// laneCount is how many messages are hashed side by side.
	laneCount = 8
	// stepMax is how many blocks of each message one call of the assembly goes over at most.
	stepMax = 8
	// window is how many messages are put in order together.
	window = 512
	// lengthMax is up to how many blocks messages are told apart when they are put in order.
	lengthMax = 32
)

// state holds word w of lane l's intermediate digest at [w][l].
type state [8][laneCount]uint32

// initial is the standard's IV, section 4.1, in every lane.
var initial = broadcast([8]uint32{0x7380166f, 0x4914b2b9, 0x172442d7, 0xda8a0600, 0xa96f30bc, 0x163138aa, 0xe38dee4d, 0xb0fb0e4e})

func broadcast(words [8]uint32) (s state) {
	for w := range s {
		for l := range s[w] {
			s[w][l] = words[w]
		}
	}
	return s
}

// engine is what computes the compression function.
type engine uint8

const (
	library engine = iota
	avx2
	avx512
)

// Available reports whether the processor can hash several messages at once. Where it cannot, this package works, and calls
// the library.
func Available() bool { return best != library }

// Frame is what is hashed before each message.
type Frame struct {
	// Prefix comes first.
	Prefix []byte
	// Sized says that the message's length follows, as four bytes, big-endian. Then no message may be longer than they hold.
	Sized bool
}

// size is how many bytes come before each message.
func (f *Frame) size() int {
	if f.Sized {
		return len(f.Prefix) + 4
	}
	return len(f.Prefix)
}

// Sum sets out[i] to the digest of the framed messages[i]. The slices must have the same length.
func Sum[D ~[Size]byte](f Frame, messages [][]byte, out []D) { sum(best, &f, messages, out) }

func sum[D ~[Size]byte](e engine, f *Frame, messages [][]byte, out []D) {
	if len(messages) != len(out) {
		panic(fmt.Sprintf("sm3lanes: %d messages, room for %d digests", len(messages), len(out)))
	}
	if e == library || len(messages) < 2 {
		sumLibrary(f, messages, out)
		return
	}
	s := scheduler{engine: e, frame: f}
	for len(messages) > 0 {
		n := min(window, len(messages))
		schedule(&s, messages[:n], out[:n])
		messages, out = messages[n:], out[n:]
	}
}

// sumLibrary hashes one message after the other.
func sumLibrary[D ~[Size]byte](f *Frame, messages [][]byte, out []D) {
	var buf []byte
	for i, m := range messages {
		buf = append(buf[:0], f.Prefix...)
		if f.Sized {
			buf = binary.BigEndian.AppendUint32(buf, uint32(len(m)))
		}
		buf = append(buf, m...)
		out[i] = sm3.Sum(buf)
	}
}

// scheduler gives messages to lanes.
type scheduler struct {
	engine engine
	frame  *Frame
	state  state
	lanes  [laneCount]lane
	buffer [laneCount][stepMax * blockSize]byte
}

// lane is a message that is being hashed, or none if no blocks are left.
type lane struct {
	message []byte
	index   int // of the message and its digest
	next    int // the number of the block that is next
	left    int // how many blocks are left
}

// schedule hashes up to window messages.
func schedule[D ~[Size]byte](s *scheduler, messages [][]byte, out []D) {
	var order [window]uint16
	s.sort(messages, &order)
	taken, busy := 0, 0
	for {
		for l := range s.lanes {
			if s.lanes[l].left == 0 && taken < len(messages) {
				s.take(l, int(order[taken]), messages)
				taken++
				busy++
			}
		}
		if busy == 0 {
			return
		}
		s.step()
		for l := range s.lanes {
			if i := s.lanes[l].index; i >= 0 && s.lanes[l].left == 0 {
				digest(&s.state, l, &out[i])
				s.lanes[l] = lane{index: -1}
				busy--
			}
		}
	}
}

// sort puts the indices of messages in order, those of the most blocks first.
func (s *scheduler) sort(messages [][]byte, order *[window]uint16) {
	var starts [lengthMax + 1]uint16
	for i := range messages {
		starts[s.length(messages[i])]++
	}
	at := uint16(0)
	for n := lengthMax; n >= 0; n-- {
		starts[n], at = at, at+starts[n]
	}
	for i := range messages {
		n := s.length(messages[i])
		order[starts[n]] = uint16(i)
		starts[n]++
	}
	for l := range s.lanes {
		s.lanes[l] = lane{index: -1}
	}
}

// length returns the number of blocks, or lengthMax if there are more.
func (s *scheduler) length(message []byte) int {
	return min(lengthMax, blocks(s.frame.size()+len(message)))
}

// blocks returns how many blocks size bytes and their padding take.
func blocks(size int) int { return (size + padMin + blockSize - 1) / blockSize }

// take gives message i to lane l.
func (s *scheduler) take(l, i int, messages [][]byte) {
	s.lanes[l] = lane{message: messages[i], index: i, left: blocks(s.frame.size() + len(messages[i]))}
	for w := range s.state {
		s.state[w][l] = initial[w][l]
	}
}

// step goes on in every busy lane by the same number of blocks. An idle lane reads what a busy one does.
func (s *scheduler) step() {
	n, first := stepMax, 0
	for l := laneCount - 1; l >= 0; l-- {
		if left := s.lanes[l].left; left > 0 {
			n, first = min(n, left), l
		}
	}
	var data [laneCount]*byte
	data[first] = s.fill(first, n)
	for l := range s.lanes {
		switch {
		case s.lanes[l].left == 0:
			data[l] = data[first]
		case l != first:
			data[l] = s.fill(l, n)
		}
	}
	for l := range s.lanes {
		if s.lanes[l].left > 0 {
			s.lanes[l].next += n
			s.lanes[l].left -= n
		}
	}
	s.engine.compress(&s.state, &data, n)
}

// fill returns where the next n blocks of lane l are.
func (s *scheduler) fill(l, n int) *byte {
	t := &s.lanes[l]
	head := s.frame.size()
	low, high, end := t.next*blockSize, (t.next+n)*blockSize, head+len(t.message) // in what is hashed
	if low >= head && high <= end {
		return &t.message[low-head]
	}
	buf := s.buffer[l][:n*blockSize]
	if low < head {
		s.copyHead(buf, low, len(t.message))
	}
	if start := max(low, head); start < min(high, end) {
		copy(buf[start-low:], t.message[start-head:])
	}
	if end < high {
		rest := buf[max(end-low, 0):]
		clear(rest)
		if end >= low {
			rest[0] = 0x80
		}
		if n == t.left {
			binary.BigEndian.PutUint64(rest[len(rest)-8:], uint64(end)*8)
		}
	}
	return &buf[0]
}

// copyHead copies what comes before a message of size bytes, from low on.
func (s *scheduler) copyHead(buf []byte, low, size int) {
	prefix := s.frame.Prefix
	if low < len(prefix) {
		copy(buf, prefix[low:])
	}
	if !s.frame.Sized {
		return
	}
	var length [4]byte
	binary.BigEndian.PutUint32(length[:], uint32(size))
	for i, b := range length {
		if at := len(prefix) + i - low; at >= 0 && at < len(buf) {
			buf[at] = b
		}
	}
}

// digest reads lane l's digest.
func digest[D ~[Size]byte](s *state, l int, out *D) {
	var d [Size]byte
	for w := range s {
		binary.BigEndian.PutUint32(d[4*w:], s[w][l])
	}
	*out = d
}

// SumPacked sets out[i] to the digest of the size bytes from i·size on: messages of one size that lie one after another. It
// panics if packed is shorter than they are together.
func SumPacked[D ~[Size]byte](size int, packed []byte, out []D) { sumPacked(best, size, packed, out) }

func sumPacked[D ~[Size]byte](e engine, size int, packed []byte, out []D) {
	if size < 0 || len(packed) < size*len(out) {
		panic(fmt.Sprintf("sm3lanes: %d messages of %d bytes are not in %d bytes", len(out), size, len(packed)))
	}
	if e == library || len(out) < 2 {
		for i := range out {
			out[i] = sm3.Sum(packed[i*size : (i+1)*size])
		}
		return
	}
	// Whole blocks are read where they are; the ends are copied to where the padding is already.
	whole, rest := size/blockSize, size%blockSize
	tail := blocks(rest)
	var ends [laneCount][2 * blockSize]byte
	for l := range ends {
		ends[l][rest] = 0x80
		binary.BigEndian.PutUint64(ends[l][tail*blockSize-8:], uint64(size)*8)
	}
	var data, tails [laneCount]*byte
	for l := range tails {
		tails[l] = &ends[l][0]
	}
	for len(out) > 0 {
		n := min(laneCount, len(out))
		s := initial
		if whole > 0 {
			for l := range data {
				data[l] = &packed[min(l, n-1)*size]
			}
			e.compress(&s, &data, whole)
		}
		for l := range n {
			copy(ends[l][:rest], packed[l*size+whole*blockSize:])
		}
		e.compress(&s, &tails, tail)
		for l := range n {
			digest(&s, l, &out[l])
		}
		packed, out = packed[n*size:], out[n:]
	}
}
