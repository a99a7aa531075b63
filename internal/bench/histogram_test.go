package bench

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A quantile lies at most 1/64 above the one of the sorted values.
func TestQuantilesAgainstSortedValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Uint64Range(0, 1<<uint(rapid.IntRange(1, 34).Draw(t, "bits"))), 1, 200).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		var one, other, both histogram
		for i, v := range values {
			d := time.Duration(v) * time.Microsecond
			both.add(d)
			if i%2 == 0 {
				one.add(d)
			} else {
				other.add(d)
			}
		}
		slices.Sort(values)
		rank := max(1, int(q*float64(len(values))+0.5))
		want := values[rank-1]
		got := uint64(both.quantile(q).Microseconds())
		if got < want || got > want+want/64 {
			t.Fatalf("quantile %g of %v is %d µs, want %d to %d", q, values, got, want, want+want/64)
		}
		one.merge(&other)
		if one.total != both.total || one.quantile(q) != both.quantile(q) {
			t.Fatalf("two halves merged differ from the whole")
		}
		b, err := json.Marshal(both)
		if err != nil {
			t.Fatal(err)
		}
		var read histogram
		if err := json.Unmarshal(b, &read); err != nil || !slices.Equal(read.counts, both.counts) || read.total != both.total {
			t.Fatalf("read back %+v from %s, %v", read, b, err)
		}
	})
}

func TestHistogramBounds(t *testing.T) {
	var h histogram
	if h.quantile(0.5) != 0 {
		t.Error("an empty histogram has a median")
	}
	h.add(-time.Second)
	h.add(1000 * 24 * time.Hour)
	if h.quantile(0) != 0 || h.quantile(1) < 24*time.Hour {
		t.Errorf("the ends are %v and %v", h.quantile(0), h.quantile(1))
	}
	for bucket := range bucketsMax - 1 {
		if got := bucketOf(bucketEnd(bucket)); got != bucket {
			t.Fatalf("bucket %d ends at %d µs, which is in bucket %d", bucket, bucketEnd(bucket), got)
		}
		if got := bucketOf(bucketEnd(bucket) + 1); got != bucket+1 {
			t.Fatalf("after bucket %d comes %d", bucket, got)
		}
	}
	for _, bad := range []string{`[[99999999,1]]`, `[1]`, `{}`} {
		if err := json.Unmarshal([]byte(bad), &h); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
