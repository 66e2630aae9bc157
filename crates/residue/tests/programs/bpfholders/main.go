// Command bpfholders keeps eBPF objects in every way the kernel knows, prints
// what it did, and waits until its standard input ends. Everything is done by
// raw calls, in namespaces of its own: when it ends, nothing is left.
//
// Each line is an object: a name for the way, "map", "program" or "link", its
// id, and what keeps it as key=value.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

const sysBPF, sysRingSetup, sysRingRegister, sysPerfEventOpen = 321, 425, 427, 298

// enum bpf_cmd
const (
	mapCreate = iota
	mapLookup
	mapUpdate
	mapDelete
	mapNextKey
	progLoad
	objPin
	objGet
	progAttach
	mapFDByID  = 14
	objInfo    = 15
	rawTPOpen  = 17
	linkCreate = 28
)

// Types: enum bpf_map_type, bpf_prog_type, bpf_attach_type.
const (
	hash, array, progArray, arrayOfMaps                  = 1, 2, 3, 12
	socketFilter, schedCLS, perfEvent, cgroupSKB, rawTP  = 1, 3, 7, 8, 17
	skLookup                                             = 30
	attachEgress, attachSKLookup, attachTCXIngress       = 1, 36, 46
	mmapable                                             = 1 << 10
	soAttachBPF, perfSoftware, perfIOCSetBPF, cloneNetNS = 50, 1, 0x40042408, 0x40000000
)

func check(what string, err error) {
	if err != nil {
		fmt.Printf("failed %s: %v\n", what, err)
		os.Exit(1)
	}
}

func bpf(what string, cmd uintptr, attr []uint64) int {
	fd, _, errno := syscall.Syscall(sysBPF, cmd, uintptr(unsafe.Pointer(&attr[0])), uintptr(len(attr)*8))
	if errno != 0 {
		check(what, errno)
	}
	return int(fd)
}

func pair(low, high int) uint64 { return uint64(uint32(low)) | uint64(uint32(high))<<32 }

func pointer[T any](p *T) uint64 { return uint64(uintptr(unsafe.Pointer(p))) }

func name(text string) (uint64, uint64) {
	var bytes [16]byte
	copy(bytes[:15], text)
	words := (*[2]uint64)(unsafe.Pointer(&bytes))
	return words[0], words[1]
}

func newMap(text string, kind, value, entries, flags, inner int) int {
	a, b := name(text)
	// type, key, value, entries, flags, inner, numa node, name, device
	attr := []uint64{pair(kind, 4), pair(value, entries), pair(flags, inner), 0, 0, 0, 0, 0}
	*(*[2]uint64)(unsafe.Add(unsafe.Pointer(&attr[0]), 28)) = [2]uint64{a, b}
	return bpf("map "+text, mapCreate, attr)
}

var license = [...]byte{'G', 'P', 'L', 0}

// newProgram loads one that does nothing, or nothing with a map.
func newProgram(text string, kind, attachType, m int) int {
	code := []uint64{0xb7, 0x95} // r0 = 0; exit
	if m >= 0 {
		code = append([]uint64{0x1118 | uint64(uint32(m))<<32, 0}, code...) // r1 = map
	}
	a, b := name(text)
	attr := make([]uint64, 16)
	attr[0], attr[1], attr[2] = pair(kind, len(code)), pointer(&code[0]), pointer(&license)
	attr[6], attr[7] = a, b
	attr[8] = pair(0, attachType)
	fd := bpf("program "+text, progLoad, attr)
	runtime.KeepAlive(code)
	return fd
}

func id(fd int) int {
	var info [8]uint32
	bpf("info", objInfo, []uint64{pair(fd, len(info)*4), pointer(&info)})
	return int(info[1])
}

func linkID(fd int) int { return id(fd) }

// cgroupOf is the id of the cgroup that a link is attached to.
func cgroupOf(fd int) uint64 {
	var info [16]uint64
	bpf("info", objInfo, []uint64{pair(fd, len(info)*8), pointer(&info)})
	return info[2]
}

func update(m, key, value int) {
	k, v := uint32(key), uint32(value)
	bpf("update", mapUpdate, []uint64{pair(m, 0), pointer(&k), pointer(&v), 0})
}

func pin(fd int, path string) {
	text := append([]byte(path), 0)
	bpf("pin "+path, objPin, []uint64{pointer(&text[0]), pair(fd, 0)})
	runtime.KeepAlive(text)
}

func tell(how, kind string, id int, keys ...any) {
	line := fmt.Sprintf("%s %s %d", how, kind, id)
	for i := 0; i < len(keys); i += 2 {
		line += fmt.Sprintf(" %v=%v", keys[i], keys[i+1])
	}
	fmt.Println(line)
}

// The main goroutine stays on the main thread, whose namespaces are those that
// others see.
func init() { runtime.LockOSThread() }

func main() {
	check("namespaces", syscall.Unshare(syscall.CLONE_NEWNS|cloneNetNS))
	check("private mounts", syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	dir, err := os.MkdirTemp("", "bpffs")
	check("directory", err)
	check("bpf file system", syscall.Mount("bpf", dir, "bpf", 0, ""))

	m := newMap("t_file", array, 8, 1, 0, 0)
	tell("file", "map", id(m), "fd", m)

	m = newMap("t_pinned", hash, 8, 16, 0, 0)
	pin(m, filepath.Join(dir, "a pin\x1b[31m"))
	check("second name", os.Link(filepath.Join(dir, "a pin\x1b[31m"), filepath.Join(dir, "same")))
	tell("pinned", "map", id(m), "fd", m, "dir", dir)

	m = newMap("t_shared", array, 8, 1, 0, 0)
	d, err := syscall.Dup(m)
	check("dup", err)
	child := exec.Command("/bin/cat")
	child.ExtraFiles = []*os.File{os.NewFile(uintptr(d), "map")}
	_, err = child.StdinPipe()
	check("pipe", err)
	check("child", child.Start())
	tell("shared", "map", id(m), "fd", m, "dup", d, "child", child.Process.Pid)

	m = newMap("t_twice", array, 8, 1, 0, 0)
	second := bpf("by id", mapFDByID, []uint64{pair(id(m), 0)})
	tell("twice", "map", id(m), "fd", m, "second", second)

	m = newMap("t_many", array, 8, 1, 0, 0)
	for range 69 {
		bpf("by id", mapFDByID, []uint64{pair(id(m), 0)})
	}
	tell("many", "map", id(m), "files", 70)

	m = newMap("t_program", array, 8, 1, 0, 0)
	p := newProgram("p_map", socketFilter, 0, m)
	tell("program", "map", id(m), "program", id(p))
	tell("user", "program", id(p), "fd", p)
	syscall.Close(m)

	inner := newMap("t_inner", array, 8, 1, 0, 0)
	outer := newMap("t_outer", arrayOfMaps, 4, 4, 0, inner)
	update(outer, 0, inner)
	update(outer, 3, inner)
	tell("inner", "map", id(inner), "outer", id(outer))
	syscall.Close(inner)

	m = newMap("t_mapped", array, 4096, 1, mmapable, 0)
	_, err = syscall.Mmap(m, 0, 4096, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	check("mmap", err)
	tell("mapped", "map", id(m))
	syscall.Close(m)

	m = newMap("t_flight", array, 8, 1, 0, 0)
	pairFDs, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check("sockets", err)
	check("plain message", syscall.Sendmsg(pairFDs[0], []byte("before"), nil, nil, 0))
	check("message", syscall.Sendmsg(pairFDs[0], []byte("x"), syscall.UnixRights(0, m), nil, 0))
	tell("flight", "map", id(m), "socket", pairFDs[1])
	syscall.Close(m)

	m = newMap("t_ring", array, 8, 1, 0, 0)
	var params [120]byte
	ring, _, errno := syscall.Syscall(sysRingSetup, 4, uintptr(unsafe.Pointer(&params)), 0)
	if errno == 0 {
		files := [3]int32{-1, int32(m), -1}
		_, _, errno = syscall.Syscall6(sysRingRegister, ring, 2, uintptr(unsafe.Pointer(&files)), 3, 0, 0)
	}
	if errno == 0 {
		tell("ring", "map", id(m), "fd", int(ring), "slot", 1)
	} else {
		fmt.Println("without ring:", errno) // io_uring is often forbidden
	}
	syscall.Close(m)

	m = newMap("t_orphan", array, 64, 100, 0, 0)
	pin(m, filepath.Join(dir, "orphan"))
	tell("orphan", "map", id(m), "dir", dir)
	syscall.Close(m)

	// Programs.
	tails := newMap("t_tails", progArray, 4, 8, 0, 0)
	p = newProgram("p_tail", socketFilter, 0, -1)
	update(tails, 5, p)
	tell("tail", "program", id(p), "array", id(tails))
	syscall.Close(p)

	p = newProgram("p_socket", socketFilter, 0, -1)
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	check("socket", err)
	check("filter", syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, soAttachBPF, p))
	tell("socket", "program", id(p), "fd", socket)
	syscall.Close(p)

	p = newProgram("p_perf", perfEvent, 0, -1)
	attr := make([]uint64, 15)
	attr[0], attr[2] = pair(perfSoftware, 120), 1_000_000_000 // type, size; a sample a second of its own time
	event, _, errno := syscall.Syscall6(sysPerfEventOpen, uintptr(unsafe.Pointer(&attr[0])), 0, ^uintptr(0), ^uintptr(0), 8, 0)
	if errno == 0 {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, event, perfIOCSetBPF, uintptr(p))
	}
	if errno == 0 {
		tell("perf", "program", id(p), "fd", int(event))
	} else {
		fmt.Println("without perf:", errno)
	}
	syscall.Close(p)

	// Links.
	p = newProgram("p_raw", rawTP, 0, -1)
	tracepoint := append([]byte("sched_process_exit"), 0)
	l := bpf("raw tracepoint", rawTPOpen, []uint64{pointer(&tracepoint[0]), pair(p, 0)})
	runtime.KeepAlive(tracepoint)
	tell("raw", "link", linkID(l), "fd", l, "program", id(p))
	tell("linked", "program", id(p), "link", linkID(l))
	syscall.Close(p)

	p = newProgram("p_tcx", schedCLS, 0, -1)
	var no syscall.Errno
	if fd, _, errno := syscall.Syscall(sysBPF, linkCreate, uintptr(unsafe.Pointer(&[]uint64{pair(p, 1), pair(attachTCXIngress, 0), 0, 0, 0, 0}[0])), 48); errno == no {
		pin(int(fd), filepath.Join(dir, "tcx"))
		tell("tcx", "link", linkID(int(fd)), "program", id(p))
		syscall.Close(int(fd))
	} else {
		fmt.Println("without tcx:", errno) // Linux 6.6
	}
	syscall.Close(p)

	p = newProgram("p_netns", skLookup, attachSKLookup, -1)
	ns, err := syscall.Open("/proc/thread-self/ns/net", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	check("network namespace", err)
	l = bpf("netns link", linkCreate, []uint64{pair(p, ns), pair(attachSKLookup, 0), 0, 0})
	tell("netns", "link", linkID(l), "fd", l, "program", id(p))
	syscall.Close(p)

	if group := cgroup("gone"); group != "" {
		g, err := syscall.Open(group, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		check("cgroup", err)
		p = newProgram("p_gone", cgroupSKB, attachEgress, -1)
		l = bpf("cgroup link", linkCreate, []uint64{pair(p, g), pair(attachEgress, 0), 0, 0})
		syscall.Close(g)
		syscall.Close(p)
		check("removed cgroup", os.Remove(group))
		// The kernel detaches it some time later.
		for deadline := time.Now().Add(10 * time.Second); cgroupOf(l) != 0 && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
		tell("gone", "link", linkID(l), "fd", l)
	}

	if group := cgroup("lives"); group != "" {
		defer os.Remove(group)
		g, err := syscall.Open(group, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
		check("cgroup", err)
		p = newProgram("p_cgroup", cgroupSKB, attachEgress, -1)
		l = bpf("cgroup link", linkCreate, []uint64{pair(p, g), pair(attachEgress, 0), 0, 0})
		tell("cgroup", "link", linkID(l), "fd", l, "program", id(p), "path", group)
		syscall.Close(p)
		p = newProgram("p_attached", cgroupSKB, attachEgress, -1)
		// target, program, type, flags: several may be attached.
		bpf("attach", progAttach, []uint64{pair(g, p), pair(attachEgress, 2), 0})
		tell("attached", "program", id(p), "path", group)
		syscall.Close(p)
	} else {
		fmt.Println("without cgroup: no cgroup2 file system")
	}

	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	child.Process.Kill()
	child.Wait()
	os.Remove(dir)
}

// cgroup makes one, if it can.
func cgroup(name string) string {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); strings.Contains(line, " - cgroup2 ") {
			path := filepath.Join(fields[4], fmt.Sprintf("residue-test-%d-%s", os.Getpid(), name))
			if os.Mkdir(path, 0o700) == nil {
				return path
			}
		}
	}
	return ""
}
