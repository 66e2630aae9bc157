// Package cheap counts the C heap of this process.
package cheap

// #include <malloc.h>
//
// // in_use is what malloc has handed out and free has not seen again, small
// // blocks and mapped ones together.
// static size_t in_use(void) {
// 	struct mallinfo2 m = mallinfo2();
// 	return m.uordblks + m.hblkhd;
// }
import "C"

// Blocks counts the C heap in blocks of the given size. The collector neither
// sees nor frees them.
func Blocks(block int) (int, error) {
	return int(C.in_use()) / block, nil
}
