// Command bpfholders keeps eBPF objects in every way the kernel knows, prints
// what it did, and waits until its standard input ends. Everything is done by
// raw calls, in namespaces of its own: when it ends, nothing is left.
//
// Each line is an object: a name for the way, "map", "program" or "link", its
// id, and what keeps it as key=value.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
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
	xdp, flowDissector, attachXDP, attachTCXEgress       = 6, 22, 37, 47
	attachFlowDissector, attachDevMap                    = 17, 33
	devMap, structOps, structOpsLink                     = 14, 26, 1 << 13
	attachStructOps, structOpsProgram, btfLoad           = 44, 27, 18
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
	if len(os.Args) > 1 {
		guard()
		return
	}
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

	network()
	interfaces()

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
	if guardian != nil {
		life.Close()
		guardian.Wait()
	}
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

// attribute is one of netlink: length, type, value, padded to four bytes.
func attribute(kind int, value []byte) []byte {
	bytes := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	bytes = binary.NativeEndian.AppendUint16(bytes, uint16(kind))
	bytes = append(bytes, value...)
	return append(bytes, make([]byte, -len(bytes)&3)...)
}

func word(value int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(value)) }

func text(value string) []byte { return append([]byte(value), 0) }

// netlink asks the kernel to make or change something (NLM_F_REQUEST, _ACK, _CREATE, _EXCL).
func netlink(kind int, parts ...[]byte) error {
	socket, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	flags := 1 | 4
	if kind != syscall.RTM_SETLINK {
		flags |= 0x400 | 0x200
	}
	body := make([]byte, 16)
	for _, part := range parts {
		body = append(body, part...)
	}
	binary.NativeEndian.PutUint32(body, uint32(len(body)))
	binary.NativeEndian.PutUint16(body[4:], uint16(kind))
	binary.NativeEndian.PutUint16(body[6:], uint16(flags))
	if err := syscall.Sendto(socket, body, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return err
	}
	answer := make([]byte, 4096)
	n, _, err := syscall.Recvfrom(socket, answer, 0)
	if err != nil || n < 20 {
		return fmt.Errorf("no answer: %d, %v", n, err)
	}
	if code := int32(binary.NativeEndian.Uint32(answer[16:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}

// link is struct ifinfomsg.
func link(index int) []byte {
	return append(make([]byte, 4), append(word(index), make([]byte, 8)...)...)
}

// tc is struct tcmsg.
func tc(index, handle, parent, info int) []byte {
	return append(make([]byte, 4), append(append(word(index), word(handle)...), append(word(parent), word(info)...)...)...)
}

// setXDP attaches a program to a device as `ip link set dev … xdp` does.
func setXDP(index, program, flags int) error {
	return netlink(syscall.RTM_SETLINK, link(index), attribute(43|0x8000, append(attribute(1, word(program)), attribute(3, word(flags))...)))
}

// filter attaches a program as `tc filter add … bpf direct-action` does.
func filter(index, parent, priority, program int) error {
	const allProtocols = 0x0300
	options := append(attribute(6, word(program)), attribute(7, text("made by a test"))...)
	options = append(options, attribute(8, word(1))...)
	return netlink(44, tc(index, 1, parent, priority<<16|allProtocols), attribute(1, text("bpf")), attribute(2|0x8000, options))
}

// network attaches programs to devices without links.
func network() {
	index := func(name string) int {
		device, err := net.InterfaceByName(name)
		check(name, err)
		return device.Index
	}
	var stat syscall.Stat_t
	check("network namespace", syscall.Stat("/proc/thread-self/ns/net", &stat))
	said := func(name, kind string, program int, err error, keys ...any) {
		if err != nil {
			fmt.Printf("without %s: %v\n", name, err)
		} else {
			tell(name, kind, id(program), append(keys, "netns", stat.Ino)...)
		}
		syscall.Close(program)
	}
	const generic, driver = 1 << 1, 1 << 2
	p := newProgram("p_generic", xdp, attachXDP, -1)
	said("generic", "program", p, setXDP(1, p, generic), "interface", "lo")

	err := netlink(syscall.RTM_NEWLINK, link(0), attribute(3, text("residue0")), attribute(18|0x8000, attribute(1, text("veth"))))
	if err == nil {
		p = newProgram("p_driver", xdp, attachXDP, -1)
		said("driver", "program", p, setXDP(index("residue0"), p, driver), "interface", "residue0")
		peer := index("veth0")
		p = newProgram("p_xdp", xdp, attachXDP, -1)
		l := bpf("xdp link", linkCreate, []uint64{pair(p, peer), pair(attachXDP, generic), 0, 0})
		tell("xdplink", "link", linkID(l), "fd", l, "program", id(p), "netns", stat.Ino)
		said("xdplinked", "program", p, nil, "link", linkID(l))
	} else {
		fmt.Println("without driver:", err)
		fmt.Println("without xdplink:", err)
	}

	err = netlink(36, tc(1, 0xffff0000, 0xfffffff1, 0), attribute(1, text("clsact")))
	for name, parent := range map[string]int{"ingress": 0xfffffff2, "egress": 0xfffffff3} {
		p = newProgram("p_"+name, schedCLS, 0, -1)
		failed := err
		if failed == nil {
			failed = filter(1, parent, 7, p)
		}
		said(name, "program", p, failed, "interface", "lo")
	}

	p = newProgram("p_tcx_attach", schedCLS, 0, -1)
	attr := []uint64{pair(1, p), pair(attachTCXEgress, 0), 0, 0}
	_, _, errno := syscall.Syscall(sysBPF, progAttach, uintptr(unsafe.Pointer(&attr[0])), 32)
	err = nil
	if errno != 0 {
		err = errno
	}
	said("tcxattach", "program", p, err, "interface", "lo")

	p = newProgram("p_dissector", flowDissector, attachFlowDissector, -1)
	bpf("flow dissector", progAttach, []uint64{pair(0, p), pair(attachFlowDissector, 0), 0})
	said("dissector", "program", p, nil)
}

// types are those of the kernel: Documentation/bpf/btf.rst.
type types struct {
	bytes  []byte
	starts []int
	texts  int
}

func (t *types) word(at int) int { return int(binary.NativeEndian.Uint32(t.bytes[at:])) }

func (t *types) text(offset int) string {
	value, _, _ := strings.Cut(string(t.bytes[t.texts+offset:][:64]), "\x00")
	return value
}

func kernelTypes() (*types, error) {
	bytes, err := os.ReadFile("/sys/kernel/btf/vmlinux")
	if err != nil {
		return nil, err
	}
	t := &types{bytes: append(bytes, make([]byte, 64)...)}
	header := t.word(4)
	t.texts = header + t.word(16)
	t.starts = []int{0}
	for at, end := header+t.word(8), header+t.word(8)+t.word(12); at < end; {
		t.starts = append(t.starts, at)
		info := t.word(at + 4)
		at += 12
		switch info >> 24 & 31 {
		case 1, 14, 17:
			at += 4
		case 3:
			at += 12
		case 4, 5, 15, 19:
			at += info & 0xffff * 12
		case 6, 13:
			at += info & 0xffff * 8
		}
	}
	return t, nil
}

// structure finds a struct: its number, its size, and numbers and offsets of its members.
func (t *types) structure(name string) (id, size int, members map[string][2]int) {
	for id = 1; id < len(t.starts); id++ {
		at := t.starts[id]
		if info := t.word(at + 4); info>>24&31 != 4 || t.text(t.word(at)) != name {
			continue
		} else {
			members = map[string][2]int{}
			for i := range info & 0xffff {
				member := at + 12 + 12*i
				members[t.text(t.word(member))] = [2]int{i, t.word(member+8) & 0xffffff / 8}
			}
		}
		return id, t.word(at + 8), members
	}
	return 0, 0, nil
}

// interfaces keeps programs by maps that give them to the kernel.
func interfaces() {
	p := newProgram("p_redirect", xdp, attachDevMap, -1)
	m := newMap("t_devices", devMap, 8, 4, 0, 0)
	key, value := uint32(2), [2]uint32{1, uint32(p)} // lo
	bpf("device", mapUpdate, []uint64{pair(m, 0), pointer(&key), pointer(&value), 0})
	tell("redirect", "program", id(p), "array", id(m))
	syscall.Close(p)

	// Congestion controls of TCP, which need three functions.
	t, err := kernelTypes()
	if err != nil {
		fmt.Println("without structops:", err)
		return
	}
	ops, _, functions := t.structure("tcp_congestion_ops")
	whole, size, data := t.structure("bpf_struct_ops_tcp_congestion_ops")
	// A map of this type is made with types of the program's own, of which there have to be some: one of no name.
	header := []uint32{0x0001eb9f, 24, 0, 16, 16, 1, 0, 1 << 24, 4, 32, 0}
	btf, _, errno := syscall.Syscall(sysBPF, btfLoad, uintptr(unsafe.Pointer(&[]uint64{pointer(&header[0]), 0, pair(41, 0), 0}[0])), 32)
	if ops == 0 || whole == 0 || errno != 0 {
		fmt.Println("without structops: no types of it:", errno)
		return
	}
	for _, one := range []struct {
		name  string
		flags int
	}{{"registered", 0}, {"structlink", structOpsLink}} {
		bytes := make([]byte, size)
		copy(bytes[data["data"][1]+functions["name"][1]:], ownName(one.name))
		var programs []int
		for _, function := range []string{"ssthresh", "undo_cwnd", "cong_avoid"} {
			p, err := structOpsFunction("p_"+function, ops, functions[function][0])
			if err != nil {
				fmt.Printf("without %s: %v\n", one.name, err)
				return
			}
			binary.NativeEndian.PutUint64(bytes[data["data"][1]+functions[function][1]:], uint64(p))
			programs = append(programs, p)
		}
		// type, key, value, entries, flags, inner, numa node, name, device, BTF, types of key and value, of the whole
		a, b := name("t_" + one.name)
		attr := []uint64{pair(structOps, 4), pair(size, 1), pair(one.flags, 0), 0, 0, 0, pair(int(btf), 0), pair(0, whole), 0, 0}
		*(*[2]uint64)(unsafe.Add(unsafe.Pointer(&attr[0]), 28)) = [2]uint64{a, b}
		m, _, errno := syscall.Syscall(sysBPF, mapCreate, uintptr(unsafe.Pointer(&attr[0])), uintptr(len(attr)*8))
		key := uint32(0)
		if errno == 0 {
			_, _, errno = syscall.Syscall(sysBPF, mapUpdate, uintptr(unsafe.Pointer(&[]uint64{pair(int(m), 0), pointer(&key), pointer(&bytes[0]), 0}[0])), 32)
		}
		if errno != 0 {
			fmt.Printf("without %s: %v\n", one.name, errno)
			return
		}
		runtime.KeepAlive(bytes)
		tell(one.name, "map", id(int(m)), "fd", int(m), "name", ownName(one.name))
		tell(one.name+"function", "program", id(programs[0]), "array", id(int(m)))
		if one.flags != 0 {
			l := bpf("struct_ops link", linkCreate, []uint64{pair(int(m), 0), pair(attachStructOps, 0), 0, 0})
			tell(one.name+"link", "link", linkID(l), "fd", l, "map", id(int(m)))
		} else {
			check("guard", startGuard(int(m)))
		}
		for _, p := range programs {
			syscall.Close(p)
		}
	}
	syscall.Close(int(btf))
}

// ownName tells one from those of other runs: the kernel takes each but once.
func ownName(text string) string { return fmt.Sprintf("r%d_%.4s", os.Getpid(), text) }

// guardian takes an interface out when this program ends, however it does: it would stay registered else.
var guardian *exec.Cmd
var life io.Closer

func startGuard(m int) (err error) {
	d, err := syscall.Dup(m)
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(d), "map")
	defer file.Close()
	guardian = exec.Command("/proc/self/exe", "guard")
	guardian.ExtraFiles = []*os.File{file}
	// What is sent to a whole group doesn't reach it.
	guardian.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if life, err = guardian.StdinPipe(); err != nil {
		return err
	}
	return guardian.Start()
}

func guard() {
	io.Copy(io.Discard, os.Stdin)
	key := uint32(0)
	bpf("unregister", mapDelete, []uint64{pair(3, 0), pointer(&key), 0, 0})
}

func structOpsFunction(text string, ops, member int) (int, error) {
	code := []uint64{0xb7, 0x95}
	a, b := name(text)
	attr := make([]uint64, 16)
	attr[0], attr[1], attr[2] = pair(structOpsProgram, len(code)), pointer(&code[0]), pointer(&license)
	attr[6], attr[7] = a, b
	attr[8] = pair(0, member)
	attr[13] = pair(0, ops) // core_relo..., attach_btf_id
	fd, _, errno := syscall.Syscall(sysBPF, progLoad, uintptr(unsafe.Pointer(&attr[0])), uintptr(len(attr)*8))
	if errno != 0 {
		return 0, errno
	}
	runtime.KeepAlive(code)
	return int(fd), nil
}
