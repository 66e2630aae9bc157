// Package main prints what run.txt holds. run.rs runs the code that it is lowered to, and wants the same.
package main

type point struct{ x, y int }

func (p point) sum() int    { return p.x + p.y }
func (p *point) move(d int) { p.x += d; p.y += d }

type base struct {
	name string
	at   point
}

func (b *base) rename(s string) { b.name = s }

type thing struct {
	*base
	point
	tags [3]int
	next *thing
}

type summer interface{ sum() int }

var counter int

func next() int { counter++; return counter }

func two() (int, string) { return next(), "two" }

func swaps() {
	i, s := 0, []int{10, 20, 30}
	i, s[i] = 2, 5
	println(i, s[0], s[2])
	s[0], s[i] = s[i], s[0]
	println(s[0], s[2])
	a, b, c := 1, 2, 3
	a, b, c = c, a, b
	println(a, b, c)
	m := map[string]int{"a": 1}
	m["a"], m["b"] = m["b"], m["a"]
	println(m["a"], m["b"], len(m))
	p := &point{1, 2}
	q := p
	p, p.x = &point{7, 8}, 9
	println(p.x, q.x)
}

func copies() {
	a := [3]int{1, 2, 3}
	b := a
	b[0] = 9
	println(a[0], b[0])
	for i, x := range a {
		a[2] = 100
		println(i, x)
	}
	for i, x := range &a {
		a[2] = 200 + i
		println(x)
	}
	p := point{1, 2}
	q := p
	q.move(10)
	f, g := p.sum, q.sum
	p.x, q.x = 50, 50
	println(p.sum(), q.sum(), f(), g())
	s := []point{{1, 2}, {3, 4}}
	for _, e := range s {
		e.x = 0
	}
	s[1].y = 40
	t := s[0:1]
	t[0].x = 11
	println(s[0].x, s[1].y, len(t))
	t = append(t, point{5, 6})
	println(s[1].x)
}

func embedded() {
	t := thing{base: &base{"a", point{1, 2}}, point: point{3, 4}}
	u := t
	u.rename("b")
	u.at.x = 10
	u.x = 30
	u.tags[1]++
	u.tags[1] += 4
	t.next = &u
	t.next.move(1)
	println(t.name, t.at.x, t.x, u.x, u.sum(), t.tags[1], u.tags[1], t.next.tags[1])
	thing.rename(t, "c")
	(*point).move(&t.point, 5)
	println(u.name, t.sum(), point.sum(t.at))
	var s summer = t
	t.x = 1000
	println(s.sum(), s == summer(point{1, 2}), s != nil)
	s = &t
	t.x = 2000
	println(s.sum())
}

func closures() {
	var fs []func() int
	for i := 0; i < 3; i++ {
		fs = append(fs, func() int { i += 10; return i })
	}
	for i := range 2 {
		fs = append(fs, func() int { return i })
	}
	for _, f := range fs {
		println(f(), f())
	}
	n := 0
	add := func(d int) func() { return func() { n += d } }
	one, ten := add(1), add(10)
	one()
	ten()
	ten()
	println(n)
	for i, skip := 0, func() {}; ; i++ {
		if i > 2 {
			break
		}
		skip()
		skip = func() { i += 5 }
	}
	var fib func(int) int
	fib = func(n int) int {
		if n < 2 {
			return n
		}
		return fib(n-1) + fib(n-2)
	}
	println(fib(12))
}

func logic() {
	no, yes := false, true
	v := func(s string, b bool) bool { println(s); return b }
	a := v("a", no) && v("b", yes) || v("c", yes) && !v("d", no)
	b := yes && !(no || v("e", yes))
	println(a, b, no && v("f", yes))
	var p *thing
	println(p != nil && p.x > 0, p == nil || p.next == nil)
	for i := 0; i < 4; i++ {
		c := i > 1 && (i == 3 || v("g", no))
		println(c, i%2 == 0 && p == nil)
	}
}

func switches() {
	for i := range 5 {
		switch i {
		case next() + 100, 1:
			println("one")
			fallthrough
		case 2:
			println("two")
		default:
			println("other", i)
		case 3:
			if i == 3 {
				break
			}
			println("never")
		}
	}
	for _, x := range []any{1, "s", nil, point{1, 2}, &point{3, 4}, true} {
		switch y := x.(type) {
		case int:
			println("int", y+1)
		case string, bool:
			println("text or bool", y != nil)
		case nil:
			println("nil", y == nil)
		case summer:
			println("sum", y.sum())
		}
		n, ok := x.(int)
		println(n, ok)
	}
	switch i, s := two(); {
	case i > 0 && s == "two":
		println(s)
	}
}

func loops() {
	sum := 0
outer:
	for i := range 10 {
		for j := 0; ; j++ {
			if j == i {
				continue outer
			}
			if i+j > 11 {
				break outer
			}
			sum += i * j
		}
	}
	println(sum)
	i := 0
again:
	if i < 3 {
		i++
		goto again
	}
	println(i)
	var keys [2]int
	at := 0
	for at, keys[at] = range []int{7, 8} {
	}
	println(at, keys[0], keys[1])
	total := 0
	for k, v := range map[int]int{1: 10, 2: 20, 3: 30} {
		total += k * v
	}
	println(total)
	for i := range [3]int{} {
		total += i
	}
	println(total)
}

func named(n int) (r int, err any) {
	defer func() {
		if e := recover(); e != nil {
			err, r = e, r+1
		}
	}()
	defer func(m int) { r += m }(n)
	n = 100
	r = 5
	if n = n / 50; n == 2 {
		var s []int
		for i := 2; i >= 0; i-- {
			defer println("deferred", i)
		}
		return s[n], nil
	}
	return r * 2, nil
}

func plain(n int) (r int, _ string, ok bool) {
	defer func() { r *= 2 }()
	r, ok = n, true
	if n > 3 {
		return n + 1, "x", false
	}
	return
}

func failures() {
	try := func(name string, f func()) {
		defer func() { println(name, recover() != nil) }()
		f()
	}
	var (
		p *thing
		s = []int{1, 2}
		m map[string]int
		a any
		n int
		f func()
		e summer
	)
	try("nil pointer", func() { p.x = 1 })
	try("address", func() { _ = &p.at.x })
	try("index", func() { n = 2; s[n]++ })
	try("slice", func() { s = s[n+1:] })
	try("nil map", func() { m["a"]++ })
	try("read of nil map", func() { println(m["a"]) })
	try("assertion", func() { println(a.(int)) })
	try("division", func() { n = 0; println(1 / n) })
	try("function", func() { f() })
	try("method", func() { e.sum() })
	try("method value", func() { _ = e.sum })
	try("explicit", func() { panic("x") })
	try("array", func() { println([2]int{1, 2}[next()&1]) })
	try("none", func() {})
	println(len(s), n)
}

func values() {
	s := []int{5: next(), 1: next(), next()}
	println(len(s), s[1], s[2], s[5])
	m := map[point]*point{{1, 2}: {3, 4}}
	println(m[point{1, 2}].y, m[point{}] == nil)
	x, y := 7, new(3)
	*y, x = x, *y
	println(x, *y, x<<2|1, x&^2, -x, x%2, "a"+"b" < "b")
	z := &x
	*z += *y
	println(x)
	v, ok := m[point{9, 9}]
	println(v == nil, ok, min(x, 2, *z), max(x, 3))
	t := []int{1, 2, 3, 4}
	u := t[1:3]
	u[0] = 9
	println(len(u), cap(u), t[1])
	println(copy(t, u), t[0])
	delete(m, point{1, 2})
	println(len(m))
	var q, r = two()
	println(q > 0, r)
	grid := [2][2]int{{1}, {0, 2}}
	row := grid[1]
	grid[1][1] = 5
	println(row[1], grid[1][1])
}

func set(p *int) int         { *p = 7; return 1 }
func setAt(p *point) int     { p.x = 7; return 1 }
func first(a any, b int) any { return a }

func late() (point, int, int) {
	x, s, p := 0, []int{0}, point{}
	in := func() int { s[0] = 7; return 1 }
	println(first(x, set(&x)).(int), first(s[0], in()).(int))
	x = 0
	y, z := x, set(&x)
	x = 0
	var v, w = x + 1, set(&x)
	println(y, z, v, w)
	x = 0
	var a [8]int
	a[x] = set(&x)
	q := &p
	r := q
	q.y = func() int { q = &point{}; return 5 }()
	println(a[0], a[7], p.y, q.y, r.y)
	return p, p.x + 1, setAt(&p)
}

func main() {
	swaps()
	copies()
	embedded()
	closures()
	logic()
	switches()
	loops()
	r, err := named(3)
	println(r, err != nil)
	show(plain(3))
	show(plain(4))
	failures()
	values()
	p, q, _ := late()
	println(p.x, q)
}

func show(n int, s string, ok bool) { println(n, s, ok) }
