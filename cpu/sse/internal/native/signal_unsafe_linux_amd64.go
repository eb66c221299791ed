package native

import (
	"fmt"
	"syscall"
	"unsafe"
)

// sigaction is the kernel's struct sigaction.
type sigaction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// previous is the handler of SIGFPE that onSIGFPE stands before.
//
//lint:ignore U1000 the assembly reads it
var previous uintptr

// handlerAddress is the address of onSIGFPE.
func handlerAddress() uintptr

// catchSIGFPE puts onSIGFPE before the handler of Go's runtime. That handler
// would turn the signal into a panic, which runs Go code while the guest's
// exceptions are still unmasked.
func catchSIGFPE() {
	var old sigaction
	rtSigaction(nil, &old)
	action := old // flags (alternate stack) and restorer are as we need them
	previous = old.handler
	action.handler = handlerAddress()
	rtSigaction(&action, nil)
}

func rtSigaction(action, old *sigaction) {
	// The kernel reads and writes the two structs during the call only.
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGFPE),
		uintptr(unsafe.Pointer(action)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(old.mask), 0, 0)
	if errno != 0 {
		panic(fmt.Sprintf("native: rt_sigaction: %v", errno))
	}
}
