// Package credit keeps the limits that banks and factors grant to core enterprises, by version, and how much of each is used.
package credit
