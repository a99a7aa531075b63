package codec

// Uint returns the unsigned integer under an unsigned integer key of the map that b encodes; ok is false if b does not begin
// with a map that has one. It is for records that were checked before and are only looked at in passing: it reads up to the key, checks
// no more than it needs to get there, and allocates nothing.
func Uint(b []byte, key uint64) (n uint64, ok bool) {
	c := checker{b: b}
	major, pairs, err := c.head()
	if err != nil || major != majorMap {
		return 0, false
	}
	for range pairs {
		major, k, err := c.head()
		if err != nil || major != majorUint || k > key { // keys ascend, and unsigned integers come first
			return 0, false
		}
		if k == key {
			major, n, err = c.head()
			return n, err == nil && major == majorUint
		}
		if c.value(1) != nil {
			return 0, false
		}
	}
	return 0, false
}
