//go:build go1.23

package main

func twice(yield func(int) bool) {
	_ = yield(1) && yield(2)
}

func rangeFunction() {
	defer nothing("own", 0)
	for i := range twice {
		defer nothing("range", i)
		if i == 2 {
			hold("range")
		}
	}
}

func init() { more = append(more, rangeFunction) }
