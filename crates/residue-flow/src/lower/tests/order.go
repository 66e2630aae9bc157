// Package main has the calls of each function numbered in the order in which Go makes them: `go run order.go` says so.
// order.rs looks for the same order in the code that functions are lowered to.
package main

import "fmt"

var last int

// t is the n-th step.
func t(n int) int {
	if n != last+1 {
		panic(fmt.Sprintf("step %d after %d", n, last))
	}
	last = n
	return n
}

func yes(n int) bool { t(n); return true }
func no(n int) bool  { t(n); return false }

func slice(n int) []int            { t(n); return make([]int, 100) }
func table(n int) map[int]int      { t(n); return map[int]int{} }
func pointer(n int) *point         { t(n); return &point{in: &point{}} }
func array(n int) *[100]int        { t(n); return new([100]int) }
func channel(n int) chan int       { t(n); return make(chan int, 9) }
func filled(n int) chan int        { t(n); c := make(chan int, 1); c <- n; return c }
func boxed(n int) any              { t(n); return n }
func pair(n int) (int, int)        { t(n); return n, n }
func two(n int) func(int, int)     { t(n); return func(int, int) {} }
func chain(n int) func(int) *point { t(n); return func(int) *point { return &point{} } }

type point struct {
	x, y int
	in   *point
	all  []int
}

func (p *point) step(n int) *point { t(n); return &point{in: p} }
func (p point) value(n int) point  { t(n); return p }
func (p *point) three(a, b, c int) {}

type stepper interface{ step(int) *point }

func operands() {
	_ = t(1) + t(2)*t(3) - (t(4) - t(5))
	_ = slice(6)[t(7)] + table(8)[t(9)]
	_ = slice(10)[t(11) : t(12)+50 : t(13)+60]
	_ = boxed(14).(int) == t(15)
	_ = <-filled(16) + t(17)
	_ = *array(18) == [100]int{5: t(19)}
}

func receivers() {
	pointer(1).step(2).step(3).in.value(4).step2(t(5), t(6))
	two(7)(t(8), t(9))
	(*point).three(pointer(10), t(11), t(12), t(13))
	chain(14)(t(15)).three(pair2(16), t(17), t(18))
	f := pointer(19).step(20).three
	f(t(21), t(22), t(23))
}

func (p point) step2(a, b int) {}
func pair2(n int) int          { return t(n) }

func assignments() {
	slice(1)[t(2)], table(3)[t(4)] = t(5), t(6)
	pointer(7).x, pointer(8).in.y = pair(9)
	pointer(10).all, *pointer(11) = slice(12), point{x: t(13)}
	slice(14)[t(15)] += t(16)
	pointer(17).x++
	table(18)[t(19)]--
	array(20)[t(21)] = t(22)
	channel(23) <- t(24)
	var a, b = t(25), t(26)
	var (
		c    = t(27)
		d, e = pair(28)
	)
	g, ok := table(29)[t(30)]
	_, _, _, _, _, _, _ = a, b, c, d, e, g, ok
}

func literals() {
	_ = []int{t(1), t(2), 5: t(3), t(4)}
	_ = point{y: t(5), x: t(6)}
	_ = map[int]int{t(7): t(8), t(9): t(10)}
	_ = []*point{{x: t(11)}, {y: t(12), in: &point{x: t(13)}}}
	_ = [][]int{{t(14)}, slice(15), {t(16), t(17)}}
}

func conditions() {
	_ = yes(1) && no(2) || yes(3)
	_ = []bool{no(4) || yes(5), yes(6) && yes(7)}
	three(t(8), yes(9) && !no(10), t(11), no(12) || (yes(13) && yes(14)), t(15))
	pointer(16).all2(t(17), no(18) || no(19))[b2i(yes(20) && yes(21))] = t(22)
	var (
		a = t(23)
		b = yes(24) && yes(25)
		c = t(26)
	)
	if d := t(27); yes(28) && same(t(29), no(30) || yes(31)) {
		_ = d
	}
	_, _, _ = a, b, c
	slice(32)[t(33)], slice(34)[b2i(yes(35) && yes(36))] = t(37), b2i(no(38) || yes(39))
	defer three(t(40), yes(41) && yes(42), t(43), false, t(44))
	same(t(45), yes(46) && same(t(47), yes(48) && yes(49)))
}

func three(a int, b bool, c int, d bool, e int) {}
func same(n int, b bool) bool                   { return b }
func (p *point) all2(n int, b bool) []int       { return make([]int, 9) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func statements() {
	switch t(1) {
	case t(2) + 90, t(3) + 90:
	case t(4) - 3:
		t(5)
	}
	switch boxed(6).(type) {
	case int:
		t(7)
	}
	for range slice(8)[:t(9)-t(10)+1] {
	}
	select {
	case channel(11) <- t(12):
	case <-channel(13):
	}
	x, y := pair(14)
	two(15)(pair(16))
	_, _ = x, y
	_ = min(t(17), t(18)) + len(slice(19)[t(20):])
	_ = append(slice(21), t(22), t(23))
	copy(slice(24), slice(25))
}

func results() (int, bool, []int) {
	return t(1), yes(2) && yes(3), slice(4)[t(5):]
}

func main() {
	for name, f := range map[string]func(){
		"operands": operands, "receivers": receivers, "assignments": assignments, "literals": literals,
		"conditions": conditions, "statements": statements, "results": func() { results() },
	} {
		last = 0
		f()
		fmt.Println(name, last)
	}
}
