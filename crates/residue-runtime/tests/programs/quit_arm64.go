package main

import (
	"syscall"
	"unsafe"
)

// An emulator writes a core when a signal comes that nobody handles: the runtime is to let this one through.
func init() {
	var byDefault [4]uint64
	quit, action := uintptr(syscall.SIGQUIT), uintptr(unsafe.Pointer(&byDefault))
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, quit, action, 0, 8, 0, 0); errno != 0 {
		panic(errno)
	}
}
