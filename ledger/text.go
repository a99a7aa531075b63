package ledger

import (
	"fmt"
	"unicode/utf8"
)

// unseen are the characters that no text of an operation may hold: controls, and what is not seen or changes how the text around it
// is seen. Whoever reads a note before signing must see what is signed. The list is part of the protocol; it does not follow the
// versions of Unicode.
var unseen = [][2]rune{
	{0x00, 0x1f}, {0x7f, 0x9f}, // controls, line ends and escapes among them
	{0xad, 0xad}, {0x34f, 0x34f}, {0x61c, 0x61c}, {0x115f, 0x1160}, {0x17b4, 0x17b5}, {0x180b, 0x180f}, // soft hyphen, joiners, fillers
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, // zero width, line and paragraph separators, directions
	{0x3164, 0x3164}, {0xfeff, 0xfeff}, {0xffa0, 0xffa0}, {0xfff0, 0xfffb}, // fillers, byte order mark, annotations
	{0xe0000, 0xe0fff}, // tags and variation selectors
}

// checkText refuses text with a character that is not seen.
func checkText(text []byte) error {
	for i := 0; i < len(text); {
		if c := text[i]; c >= 0x20 && c < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		for _, span := range unseen {
			if span[0] <= r && r <= span[1] {
				return fmt.Errorf("text holds the character %U, which is not seen", r)
			}
		}
		i += n
	}
	return nil
}
