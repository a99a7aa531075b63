package codec

import "bytes"

// MarshalLong is Marshal without plans.
func MarshalLong(v any) ([]byte, error) { return marshalLong(new(bytes.Buffer), v) }

// UnmarshalLong is Unmarshal without plans.
func UnmarshalLong(b []byte, v any) error { return unmarshalLong(b, v) }
