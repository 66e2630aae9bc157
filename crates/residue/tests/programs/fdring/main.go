// Command fdring makes and closes descriptors by io_uring, without a library, and receives some in several messages at once.
// What it prints is the truth, in the lines of fdbirths.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Numbers of system calls on all architectures.
const (
	sysIoUringSetup    = 425
	sysIoUringEnter    = 426
	sysIoUringRegister = 427
)

// Requests of io_uring (enum io_uring_op of include/uapi/linux/io_uring.h).
const (
	opRecvmsg        = 10
	opAccept         = 13
	opAsyncCancel    = 14
	opOpenat         = 18
	opClose          = 19
	opOpenat2        = 28
	opSocket         = 45
	opFixedFdInstall = 54
	opPipe           = 62
)

const (
	async          = 1 << 4 // IOSQE_ASYNC
	fixedFile      = 1 << 0 // IOSQE_FIXED_FILE
	multishot      = 1      // IORING_ACCEPT_MULTISHOT
	enterGetEvents = 1
)

type way struct {
	call, command string
	make          func() ([]int, error)
}

var pairs [2]int // of Unix sockets

func call(trap uintptr, args ...uintptr) ([]int, error) {
	var a [6]uintptr
	copy(a[:], args)
	fd, _, errno := syscall.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5])
	if errno != 0 {
		return nil, errno
	}
	return []int{int(fd)}, nil
}

func at(p unsafe.Pointer) uintptr { return uintptr(p) }

// A ring is io_uring without a library: its queues, mapped.
type ring struct {
	fd             int
	queue, entries []byte
	params         [120]byte
}

// A request is a struct io_uring_sqe, field by field as far as it is used.
type request struct {
	op, flags    byte
	ioprio       uint16
	fd           int32
	offset, addr uint64
	length, opts uint32
	user         uint64
	slot         uint32
}

func (r *ring) number(at int) uint32 { return binary.LittleEndian.Uint32(r.params[at:]) }

func newRing() (*ring, error) {
	r := &ring{}
	fds, err := call(sysIoUringSetup, 8, at(unsafe.Pointer(&r.params)))
	if err != nil {
		return nil, err
	}
	r.fd = fds[0]
	// IORING_FEAT_SINGLE_MMAP: one mapping has both queues.
	if r.queue, err = syscall.Mmap(r.fd, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED); err != nil {
		return nil, err
	}
	r.entries, err = syscall.Mmap(r.fd, 0x10000000, 8*64, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	return r, err
}

func (r *ring) word(at uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.queue[at])) }

// submit hands a request over and waits until so many completions are there.
//
//go:noinline
func (r *ring) submit(q request, wait int) error {
	tail := r.word(r.number(44)) // sq_off.tail
	index := *tail & (*r.word(r.number(48)))
	entry := r.entries[index*64 : index*64+64]
	clear(entry)
	entry[0], entry[1] = q.op, q.flags
	le := binary.LittleEndian
	le.PutUint16(entry[2:], q.ioprio)
	le.PutUint32(entry[4:], uint32(q.fd))
	le.PutUint64(entry[8:], q.offset)
	le.PutUint64(entry[16:], q.addr)
	le.PutUint32(entry[24:], q.length)
	le.PutUint32(entry[28:], q.opts)
	le.PutUint64(entry[32:], q.user)
	le.PutUint32(entry[44:], q.slot)
	*r.word(r.number(64) + 4*index) = index // sq_off.array
	atomic.StoreUint32(tail, *tail+1)
	_, err := call(sysIoUringEnter, uintptr(r.fd), 1, uintptr(wait), enterGetEvents, 0, 0)
	return err
}

// result is that of the next completion.
func (r *ring) result() (int32, error) {
	head := r.word(r.number(80)) // cq_off.head
	if *head == atomic.LoadUint32(r.word(r.number(84))) {
		return 0, errors.New("nothing has completed")
	}
	at := r.number(100) + 16*(*head&*r.word(r.number(88)))
	result := int32(*r.word(at + 8))
	atomic.StoreUint32(head, *head+1)
	if result < 0 {
		return 0, syscall.Errno(-result)
	}
	return result, nil
}

// do waits for what a request gives.
//
//go:noinline
func (r *ring) do(q request) ([]int, error) {
	if err := r.submit(q, 1); err != nil {
		return nil, err
	}
	result, err := r.result()
	return []int{int(result)}, err
}

func (r *ring) close(fd int) error {
	_, err := r.do(request{op: opClose, fd: int32(fd)})
	return err
}

// ringWays are those in which io_uring makes descriptors.
func ringWays(r *ring, listener int, file int) []way {
	name, _ := syscall.BytePtrFromString("/etc/passwd")
	path := uint64(at(unsafe.Pointer(name)))
	how := new([3]uint64)
	open := func(flags byte, slot uint32) request {
		return request{op: opOpenat, flags: flags, fd: -100, addr: path, slot: slot}
	}
	// Connections that wait to be accepted.
	connect := func() error {
		name, err := syscall.Getsockname(listener)
		if err != nil {
			return err
		}
		client, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		defer syscall.Close(client)
		return syscall.Connect(client, name)
	}
	return []way{
		{"recvmmsg", "", func() ([]int, error) { return several(file) }},
		{"io_uring_enter", "IORING_OP_OPENAT", func() ([]int, error) {
			here, err := r.do(open(0, 0))
			if err != nil {
				return nil, err
			}
			// On a thread of the ring's own.
			there, err := r.do(open(async, 0))
			return append(here, there...), err
		}},
		{"io_uring_enter", "IORING_OP_OPENAT2", func() ([]int, error) {
			return r.do(request{op: opOpenat2, fd: -100, addr: path, length: 24, offset: uint64(at(unsafe.Pointer(how)))})
		}},
		{"io_uring_enter", "IORING_OP_SOCKET", func() ([]int, error) {
			return r.do(request{op: opSocket, fd: syscall.AF_INET, offset: syscall.SOCK_STREAM})
		}},
		{"io_uring_enter", "IORING_OP_ACCEPT", func() ([]int, error) {
			if err := connect(); err != nil {
				return nil, err
			}
			single, err := r.do(request{op: opAccept, fd: int32(listener)})
			if err != nil {
				return nil, err
			}
			// One request, a completion for each connection.
			if err := r.submit(request{op: opAccept, fd: int32(listener), ioprio: multishot, user: 77}, 0); err != nil {
				return nil, err
			}
			for i := 0; i < 2; i++ {
				if err := connect(); err != nil {
					return nil, err
				}
				if _, err := call(sysIoUringEnter, uintptr(r.fd), 0, 1, enterGetEvents, 0, 0); err != nil {
					return nil, err
				}
				fd, err := r.result()
				if err != nil {
					return nil, err
				}
				single = append(single, int(fd))
			}
			// It would go on. Both complete.
			err = r.submit(request{op: opAsyncCancel, addr: 77}, 2)
			_, _ = r.result()
			_, _ = r.result()
			return single, err
		}},
		{"io_uring_enter", "IORING_OP_PIPE", func() ([]int, error) {
			fds := new([2]int32)
			_, err := r.do(request{op: opPipe, addr: uint64(at(unsafe.Pointer(fds)))})
			return []int{int(fds[0]), int(fds[1])}, err
		}},
		{"io_uring_enter", "IORING_OP_RECVMSG", func() ([]int, error) {
			if err := syscall.Sendmsg(pairs[0], []byte("x"), syscall.UnixRights(file, file), nil, 0); err != nil {
				return nil, err
			}
			m := newMessage()
			if _, err := r.do(request{op: opRecvmsg, fd: int32(pairs[1]), addr: uint64(at(unsafe.Pointer(m))), length: 1}); err != nil {
				return nil, err
			}
			return m.fds()
		}},
		{"io_uring_enter", "IORING_OP_FIXED_FD_INSTALL", func() ([]int, error) {
			// A slot of the ring has a file and is no descriptor, until it is made one.
			slots := []int32{-1, -1}
			if _, err := call(sysIoUringRegister, uintptr(r.fd), 2, at(unsafe.Pointer(&slots[0])), 2); err != nil {
				return nil, err
			}
			if _, err := r.do(open(0, 1)); err != nil {
				return nil, err
			}
			fds, err := r.do(request{op: opFixedFdInstall, flags: fixedFile, fd: 0})
			if err != nil {
				return nil, err
			}
			_, err = r.do(request{op: opClose, slot: 1})
			return fds, err
		}},
	}
}

// A message is a struct mmsghdr with room for what comes.
type message struct {
	header  syscall.Msghdr
	length  uint32
	_       uint32
	vector  *syscall.Iovec
	control []byte
}

func newMessage() *message {
	m := &message{vector: &syscall.Iovec{Base: new(byte), Len: 1}, control: make([]byte, 128)}
	m.header.Iov, m.header.Iovlen = m.vector, 1
	m.header.Control, m.header.Controllen = &m.control[0], uint64(len(m.control))
	return m
}

func (m *message) fds() ([]int, error) {
	messages, err := syscall.ParseSocketControlMessage(m.control[:m.header.Controllen])
	if err != nil {
		return nil, err
	}
	if len(messages) == 0 {
		return nil, errors.New("it carries no descriptors")
	}
	return syscall.ParseUnixRights(&messages[0])
}

// several receives two messages at once, each with descriptors.
func several(file int) ([]int, error) {
	for i := 1; i <= 2; i++ {
		rights := syscall.UnixRights(file, file)
		if i == 2 {
			rights = syscall.UnixRights(file)
		}
		if err := syscall.Sendmsg(pairs[0], []byte("x"), rights, nil, 0); err != nil {
			return nil, err
		}
	}
	first, second := newMessage(), newMessage()
	headers := [2]struct {
		header syscall.Msghdr
		length uint32
	}{{header: first.header}, {header: second.header}}
	got, err := call(syscall.SYS_RECVMMSG, uintptr(pairs[1]), at(unsafe.Pointer(&headers)), 2, 0, 0)
	if err != nil {
		return nil, err
	}
	if got[0] != 2 {
		return nil, fmt.Errorf("%d messages came", got[0])
	}
	first.header, second.header = headers[0].header, headers[1].header
	one, err := first.fds()
	if err != nil {
		return nil, err
	}
	two, err := second.fds()
	return append(one, two...), err
}

//go:noinline
func born(w way) {
	fds, err := w.make()
	if err != nil {
		fmt.Printf("skipped %s %s: %v\n", w.call, w.command, err)
		return
	}
	fmt.Printf("made %s %s %d\n", w.call, w.command, len(fds))
}

// dies opens by a system call and closes by the ring, or the other way.
//
//go:noinline
func diesByRing(r *ring, name *byte) error {
	fd, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return r.close(fd)
}

//go:noinline
func diesByCall(r *ring, name *byte) error {
	fds, err := r.do(request{op: opOpenat, fd: -100, addr: uint64(at(unsafe.Pointer(name)))})
	if err != nil {
		return err
	}
	return syscall.Close(fds[0])
}

//go:noinline
func twice(r *ring) {
	fd, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	fmt.Println("twice", r.close(fd), r.close(fd))
}

func main() {
	file, err := syscall.Open("/etc/hostname", syscall.O_RDONLY, 0)
	if err != nil {
		panic(err)
	}
	listener, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		panic(err)
	}
	if err := syscall.Bind(listener, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		panic(err)
	}
	if err := syscall.Listen(listener, 8); err != nil {
		panic(err)
	}
	if pairs, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0); err != nil {
		panic(err)
	}
	r, err := newRing()
	if err != nil {
		fmt.Println("skipped io_uring_enter:", err)
		os.Exit(0)
	}
	for _, w := range ringWays(r, listener, file) {
		born(w)
	}
	name, _ := syscall.BytePtrFromString("/etc/passwd")
	for i := 0; i < 3; i++ {
		for _, dies := range []func(*ring, *byte) error{diesByRing, diesByCall} {
			if err := dies(r, name); err != nil {
				panic(err)
			}
		}
	}
	twice(r)
}
