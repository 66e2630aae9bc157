// Command unicode prints crates/residue-syntax/src/unicode.rs from the tables of the Go release that runs it.
package main

import (
	"fmt"
	"runtime"
	"unicode"
)

func main() {
	fmt.Printf(`//! Which characters beyond ASCII Go takes as letters and digits.
//!
//! Made by conformance/parse/unicode with %s (Unicode %s); do not edit.

/// Whether Go takes a character beyond ASCII as a letter (Unicode's category L).
pub(crate) fn is_letter(c: char) -> bool {
    contains(&LETTERS, c)
}

/// Whether Go takes a character beyond ASCII as a digit (Unicode's category Nd).
pub(crate) fn is_digit(c: char) -> bool {
    contains(&DIGITS, c)
}

/// The table holds the first character of each range and the one after its last, in turn.
fn contains(table: &[u32], c: char) -> bool {
    table.partition_point(|&bound| bound <= u32::from(c)) %% 2 == 1
}

`, runtime.Version(), unicode.Version)
	table("LETTERS", unicode.L)
	fmt.Println()
	table("DIGITS", unicode.Nd)
}

func table(name string, set *unicode.RangeTable) {
	var bounds []rune
	inside := false
	for c := rune(0x80); c <= unicode.MaxRune+1; c++ {
		if unicode.Is(set, c) != inside {
			bounds = append(bounds, c)
			inside = !inside
		}
	}
	fmt.Printf("#[rustfmt::skip]\nconst %s: [u32; %d] = [", name, len(bounds))
	for i, c := range bounds {
		if i%12 == 0 {
			fmt.Print("\n   ")
		}
		fmt.Printf(" %#x,", c)
	}
	fmt.Println("\n];")
}
