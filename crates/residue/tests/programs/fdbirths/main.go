// Command fdbirths makes a descriptor in every way there is, says which, and then closes some of them in every way there
// is. Each way is a line: `made CALL COMMAND COUNT`, or `skipped CALL COMMAND WHY` where the kernel doesn't have it.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"
)

// Numbers of system calls that package syscall doesn't have, or not on every architecture; those from 424 on are the same on all.
const (
	sysIoUringSetup   = 425
	sysOpenTree       = 428
	sysFsopen         = 430
	sysFspick         = 433
	sysPidfdOpen      = 434
	sysCloseRange     = 436
	sysOpenat2        = 437
	sysPidfdGetfd     = 438
	sysLandlockCreate = 444
	sysMemfdSecret    = 447
)

var (
	sysOpen          = number64(2, none)
	sysCreat         = number64(85, none)
	sysPipe          = number64(22, none)
	sysDup2          = number64(33, none)
	sysEpollCreate   = number64(213, none)
	sysInotifyInit   = number64(253, none)
	sysEventfd       = number64(284, none)
	sysPerfEventOpen = number64(298, 241)
	sysFanotifyInit  = number64(300, 262)
	sysMemfdCreate   = number64(319, 279)
	sysBPF           = number64(321, 280)
	sysUserfaultfd   = number64(323, 282)
)

// The kernel has no such call.
const none = ^uintptr(0)

func number64(amd64, arm64 uintptr) uintptr {
	if runtime.GOARCH == "arm64" {
		return arm64
	}
	return amd64
}

func number(fd uintptr, _ uintptr, errno syscall.Errno) ([]int, error) {
	if errno != 0 {
		return nil, errno
	}
	return []int{int(fd)}, nil
}

func call(trap uintptr, args ...uintptr) ([]int, error) {
	var a [6]uintptr
	copy(a[:], args)
	return number(syscall.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5]))
}

func text(s string) uintptr {
	p, _ := syscall.BytePtrFromString(s)
	return uintptr(unsafe.Pointer(p))
}

func at(p unsafe.Pointer) uintptr { return uintptr(p) }

type way struct {
	call, command string
	make          func() ([]int, error)
}

var fdcwd = -100 // AT_FDCWD

func ways(file int, listener int, pair [2]int) []way {
	sockaddr := func() error { // something to accept
		name, err := syscall.Getsockname(listener)
		if err != nil {
			return err
		}
		return syscall.Connect(pair[0], name)
	}
	if err := sockaddr(); err != nil {
		fmt.Fprintln(os.Stderr, "connect:", err)
		os.Exit(1)
	}
	signals := uint64(1 << (syscall.SIGUSR2 - 1))
	how := [3]uint64{}
	self := uintptr(os.Getpid())
	return []way{
		{"open", "", func() ([]int, error) { return call(sysOpen, text("/etc/passwd"), 0, 0) }},
		{"creat", "", func() ([]int, error) { return call(sysCreat, text(os.DevNull), 0) }},
		{"openat", "", func() ([]int, error) { return call(syscall.SYS_OPENAT, uintptr(fdcwd), text("/etc"), 0, 0) }},
		{"openat2", "", func() ([]int, error) {
			return call(sysOpenat2, uintptr(fdcwd), text("/etc/passwd"), at(unsafe.Pointer(&how)), 24)
		}},
		{"socket", "", func() ([]int, error) { return call(syscall.SYS_SOCKET, syscall.AF_INET, syscall.SOCK_STREAM, 0) }},
		{"accept4", "", func() ([]int, error) { return call(syscall.SYS_ACCEPT4, uintptr(listener), 0, 0, 0) }},
		{"epoll_create1", "", func() ([]int, error) { return call(syscall.SYS_EPOLL_CREATE1, 0) }},
		{"epoll_create", "", func() ([]int, error) { return call(sysEpollCreate, 1) }},
		{"eventfd2", "", func() ([]int, error) { return call(syscall.SYS_EVENTFD2, 0, 0) }},
		{"eventfd", "", func() ([]int, error) { return call(sysEventfd, 0) }},
		{"timerfd_create", "", func() ([]int, error) { return call(syscall.SYS_TIMERFD_CREATE, 0, 0) }},
		{"signalfd4", "", func() ([]int, error) {
			return call(syscall.SYS_SIGNALFD4, ^uintptr(0), at(unsafe.Pointer(&signals)), 8, 0)
		}},
		{"inotify_init1", "", func() ([]int, error) { return call(syscall.SYS_INOTIFY_INIT1, 0) }},
		{"inotify_init", "", func() ([]int, error) { return call(sysInotifyInit) }},
		{"fanotify_init", "", func() ([]int, error) { return call(sysFanotifyInit, 0, 0) }},
		{"memfd_create", "", func() ([]int, error) { return call(sysMemfdCreate, text("born"), 0) }},
		{"memfd_secret", "", func() ([]int, error) { return call(sysMemfdSecret, 0) }},
		{"userfaultfd", "", func() ([]int, error) { return call(sysUserfaultfd, 0) }},
		{"pidfd_open", "", func() ([]int, error) { return call(sysPidfdOpen, self, 0) }},
		{"pidfd_getfd", "", func() ([]int, error) {
			pid, err := syscall_pidfd(self)
			if err != nil {
				return nil, err
			}
			defer syscall.Close(pid)
			return call(sysPidfdGetfd, uintptr(pid), uintptr(file), 0)
		}},
		{"perf_event_open", "", func() ([]int, error) {
			attr := [16]uint64{1 | 128<<32} // a software event: the clock
			return call(sysPerfEventOpen, at(unsafe.Pointer(&attr)), 0, ^uintptr(0), ^uintptr(0), 0)
		}},
		{"bpf", "BPF_MAP_CREATE", func() ([]int, error) {
			attr := [18]uint32{2, 4, 8, 1} // an array
			return call(sysBPF, 0, at(unsafe.Pointer(&attr)), 72)
		}},
		{"io_uring_setup", "", func() ([]int, error) {
			var params [15]uint64
			return call(sysIoUringSetup, 4, at(unsafe.Pointer(&params)))
		}},
		{"open_tree", "", func() ([]int, error) { return call(sysOpenTree, uintptr(fdcwd), text("/"), 0) }},
		{"fsopen", "", func() ([]int, error) { return call(sysFsopen, text("tmpfs"), 0) }},
		{"fspick", "", func() ([]int, error) { return call(sysFspick, uintptr(fdcwd), text("/"), 0) }},
		{"landlock_create_ruleset", "", func() ([]int, error) {
			attr := [1]uint64{1}
			return call(sysLandlockCreate, at(unsafe.Pointer(&attr)), 8, 0)
		}},
		{"mq_open", "", func() ([]int, error) {
			defer call(syscall.SYS_MQ_UNLINK, text("residue-born"))
			return call(syscall.SYS_MQ_OPEN, text("residue-born"), syscall.O_CREAT|syscall.O_RDWR, 0o600, 0)
		}},
		{"dup", "", func() ([]int, error) { return call(syscall.SYS_DUP, uintptr(file)) }},
		{"dup2", "", func() ([]int, error) { return call(sysDup2, uintptr(file), 500) }},
		{"dup3", "", func() ([]int, error) { return call(syscall.SYS_DUP3, uintptr(file), 501, 0) }},
		{"fcntl", "F_DUPFD", func() ([]int, error) { return call(syscall.SYS_FCNTL, uintptr(file), syscall.F_DUPFD, 600) }},
		{"fcntl", "F_DUPFD_CLOEXEC", func() ([]int, error) {
			return call(syscall.SYS_FCNTL, uintptr(file), syscall.F_DUPFD_CLOEXEC, 600)
		}},
		{"pipe2", "", func() ([]int, error) { return two(syscall.SYS_PIPE2, 0) }},
		{"pipe", "", func() ([]int, error) { return two(sysPipe, 0) }},
		{"socketpair", "", func() ([]int, error) {
			var fds [2]int32
			_, err := call(syscall.SYS_SOCKETPAIR, syscall.AF_UNIX, syscall.SOCK_STREAM, 0, at(unsafe.Pointer(&fds)))
			return []int{int(fds[0]), int(fds[1])}, err
		}},
		{"recvmsg", "", func() ([]int, error) {
			rights := syscall.UnixRights(file, file, file)
			if err := syscall.Sendmsg(pairs[0], []byte("x"), rights, nil, 0); err != nil {
				return nil, err
			}
			control := make([]byte, 256)
			_, n, _, _, err := syscall.Recvmsg(pairs[1], make([]byte, 1), control, 0)
			if err != nil {
				return nil, err
			}
			messages, err := syscall.ParseSocketControlMessage(control[:n])
			if err != nil {
				return nil, err
			}
			return syscall.ParseUnixRights(&messages[0])
		}},
		{"getsockopt", "", func() ([]int, error) { // SO_PEERPIDFD
			fd, size := int32(-1), uint32(4)
			_, err := call(syscall.SYS_GETSOCKOPT, uintptr(pairs[0]), syscall.SOL_SOCKET, 77,
				at(unsafe.Pointer(&fd)), at(unsafe.Pointer(&size)))
			return []int{int(fd)}, err
		}},
		{"ioctl", "NS_GET_USERNS", func() ([]int, error) {
			space, err := syscall.Open("/proc/self/ns/pid", syscall.O_RDONLY, 0)
			if err != nil {
				return nil, err
			}
			defer syscall.Close(space)
			return call(syscall.SYS_IOCTL, uintptr(space), 0xb701, 0)
		}},
		{"ioctl", "TIOCGPTPEER", func() ([]int, error) {
			terminal, err := syscall.Open("/dev/ptmx", syscall.O_RDWR|syscall.O_NOCTTY, 0)
			if err != nil {
				return nil, err
			}
			defer syscall.Close(terminal)
			unlock := int32(0)
			if _, err := call(syscall.SYS_IOCTL, uintptr(terminal), 0x40045431, at(unsafe.Pointer(&unlock))); err != nil {
				return nil, err
			}
			return call(syscall.SYS_IOCTL, uintptr(terminal), 0x5441, syscall.O_RDWR|syscall.O_NOCTTY)
		}},
		{"clone", "", func() ([]int, error) { // CLONE_PIDFD, by clone or clone3
			fd := -1
			attr := &os.ProcAttr{Sys: &syscall.SysProcAttr{PidFD: &fd}}
			process, err := os.StartProcess("/bin/true", []string{"true"}, attr)
			if err != nil {
				return nil, err
			}
			_, err = process.Wait()
			return []int{fd}, err
		}},
	}
}

var pairs [2]int // a pair of Unix sockets

func two(trap uintptr, flags uintptr) ([]int, error) {
	var fds [2]int32
	_, err := call(trap, at(unsafe.Pointer(&fds)), flags)
	return []int{int(fds[0]), int(fds[1])}, err
}

func syscall_pidfd(pid uintptr) (int, error) {
	fds, err := call(sysPidfdOpen, pid, 0)
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

//go:noinline
func born(w way) []int {
	fds, err := w.make()
	if err != nil {
		fmt.Printf("skipped %s %s: %v\n", w.call, w.command, err)
		return nil
	}
	fmt.Printf("made %s %s %d\n", w.call, w.command, len(fds))
	return fds
}

// files opens n descriptors with numbers from first on.
//
//go:noinline
func files(n int) []int {
	var fds []int
	for i := 0; i < n; i++ {
		fd, err := syscall.Open("/etc/passwd", syscall.O_RDONLY, 0)
		if err != nil {
			panic(err)
		}
		fds = append(fds, fd)
	}
	return fds
}

//go:noinline
func diesByClose()     { syscall.Close(files(1)[0]) }
func diesByDup(to int) { fds := files(1); syscall.Dup3(to, fds[0], 0) }
func diesAfterDup() { // over itself, dup2 does nothing
	fd := files(1)[0]
	syscall.Syscall(sysDup2, uintptr(fd), uintptr(fd), 0)
	syscall.Close(fd)
}
func diesByCloseRange() {
	fd := uintptr(files(1)[0])
	if _, _, errno := syscall.Syscall(sysCloseRange, fd, fd, 0); errno != 0 {
		syscall.Close(int(fd))
	}
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "exec" {
		execs()
	}
	if len(os.Args) > 1 { // the program after exec
		return
	}
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
	client, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		panic(err)
	}
	if pairs, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0); err != nil {
		panic(err)
	}
	for _, w := range ways(file, listener, [2]int{client, -1}) {
		born(w)
	}
	for i := 0; i < 3; i++ {
		diesByClose()
		diesByDup(file)
		diesAfterDup()
		diesByCloseRange()
	}
	// A child with a table of its own, which it has until exec, and what comes after.
	if err := exec.Command(os.Args[0], "exec").Run(); err != nil {
		panic(err)
	}
	// A thread with a table of its own opens and ends.
	done := make(chan bool)
	go func() {
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_FILES); err == nil {
			parted()
		}
		done <- true
	}()
	<-done
	fmt.Println("done")
}

// execs opens one descriptor that exec closes, and one that lives on.
//
//go:noinline
func execs() {
	files(1)
	syscall.CloseOnExec(files(1)[0])
	if err := syscall.Exec(os.Args[0], []string{os.Args[0], "again"}, os.Environ()); err != nil {
		panic(err)
	}
}

//go:noinline
func parted() { files(2) }
