// Package identity knows the parties: their legal ids, scopes and roles, the keys that act for them, and whether the keys
// that signed satisfy a party's policy by distinct persons.
package identity
