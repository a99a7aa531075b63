package bench

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"time"
)

// histogram counts durations in buckets of at most 1/64 of their value, from 1 µs to 12 days, in the manner of HdrHistogram.
// Its zero value is empty. It is not safe for concurrent use.
type histogram struct {
	counts []uint64
	total  uint64
}

// bucketBits is the logarithm of the buckets per doubling.
const bucketBits = 6

// bucketsMax bounds the buckets: durations beyond the last count there.
const bucketsMax = 35 << bucketBits

// bucketOf returns the bucket of a duration in µs: the values below 128 have one each, then every doubling has 64.
func bucketOf(us uint64) int {
	shift := max(0, bits.Len64(us)-bucketBits-1)
	return min(shift<<bucketBits+int(us>>shift), bucketsMax-1)
}

// bucketEnd returns the largest duration in µs of a bucket.
func bucketEnd(bucket int) uint64 {
	if bucket < 2<<bucketBits {
		return uint64(bucket)
	}
	shift := bucket>>bucketBits - 1
	return (uint64(bucket-shift<<bucketBits)+1)<<shift - 1
}

func (h *histogram) add(d time.Duration) { h.addCount(bucketOf(uint64(max(0, d.Microseconds()))), 1) }

func (h *histogram) addCount(bucket int, n uint64) {
	if bucket >= len(h.counts) {
		h.counts = append(h.counts, make([]uint64, bucket+1-len(h.counts))...)
	}
	h.counts[bucket] += n
	h.total += n
}

func (h *histogram) merge(other *histogram) {
	for bucket, n := range other.counts {
		if n > 0 {
			h.addCount(bucket, n)
		}
	}
}

// quantile returns the duration below or at which the share q of all lies, 0 if there are none. It is at most 1/64 too long.
func (h *histogram) quantile(q float64) time.Duration {
	want := max(1, uint64(q*float64(h.total)+0.5))
	var seen uint64
	for bucket, n := range h.counts {
		if seen += n; seen >= want {
			return time.Duration(bucketEnd(bucket)) * time.Microsecond
		}
	}
	return 0
}

// MarshalJSON writes pairs of bucket and count.
func (h histogram) MarshalJSON() ([]byte, error) {
	out := []byte{'['}
	for bucket, n := range h.counts {
		if n == 0 {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = fmt.Appendf(out, "[%d,%d]", bucket, n)
	}
	return append(out, ']'), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *histogram) UnmarshalJSON(b []byte) error {
	var pairs [][2]uint64
	if err := json.Unmarshal(b, &pairs); err != nil {
		return err
	}
	*h = histogram{}
	for _, p := range pairs {
		if p[0] >= bucketsMax {
			return fmt.Errorf("bucket %d of a histogram does not exist", p[0])
		}
		h.addCount(int(p[0]), p[1])
	}
	return nil
}
