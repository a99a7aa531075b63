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
		if !c.pass() {
			return 0, false
		}
	}
	return 0, false
}

// pass moves behind the value at off without a look into strings.
func (c *checker) pass() bool {
	start := c.off
	major, arg, err := c.head()
	switch {
	case err != nil:
		return false
	case major == majorUint:
		return true
	case major == majorBytes || major == majorText:
		_, ok := c.bytes(arg)
		return ok
	default:
		c.off = start
		return c.value(1) == nil
	}
}

// AppendBytes returns the encoding of the record that b encodes with item as one more element at the end of its only field, a list of byte
// strings under an unsigned integer key; ok is false if b does not begin like such a record, or the list is full. Like Uint it is for
// records that were checked before: the elements are copied and not looked at.
func AppendBytes(b, item []byte) (grown []byte, ok bool) {
	c := checker{b: b}
	major, pairs, err := c.head()
	if err != nil || major != majorMap || pairs != 1 {
		return nil, false
	}
	if major, _, err = c.head(); err != nil || major != majorUint {
		return nil, false
	}
	start := c.off
	major, count, err := c.head()
	if err != nil || major != majorArray || count >= ElementsMax || count > uint64(len(b)-c.off) {
		return nil, false
	}
	const headMax = 9
	grown = make([]byte, 0, len(b)+len(item)+headMax)
	grown = appendHead(append(grown, b[:start]...), majorArray, count+1)
	grown = appendHead(append(grown, b[c.off:]...), majorBytes, uint64(len(item)))
	return append(grown, item...), true
}
