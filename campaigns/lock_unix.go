//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package campaigns

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// lock takes a file for this process. It is free again when the process
// ends, however it does.
func lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another flipvisor is writing to it")
	}
	return nil, err
}
