package boot

import (
	"fmt"
	"io"
	"math/bits"
	"os"
	"strconv"
	"strings"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/machine"
)

// Options say what to boot, and how it is connected.
type Options struct {
	Kernel  string   // file name, and first word of the command line
	Image   []byte   // the kernel, if it is not to be read from that file
	Append  string   // the rest of the command line
	Modules []Module // in order
	Memory  uint64   // bytes; 0 means DefaultMemory
	Model   *cpu.Model

	ExitAfter uint64 // stop after so many instructions; 0 means never

	Console io.Writer // gets what the machine sends to COM1
	Input   io.Reader // gives what COM1 receives; nil means nothing
	Trace   io.Writer // gets every executed instruction

	// Replay is what the machine receives instead of Input, each at its
	// time: the log of another session.
	Replay []machine.Input

	// Pace keeps a machine that waits for time to pass from running ahead
	// of the wall clock, for people to talk to. What the machine sees does
	// not depend on it but for when the input comes.
	Pace bool

	// Symbols names addresses of the kernel: the symbol that an address
	// lies in, "" if none, and where that begins.
	Symbols func(a uint64) (name string, base uint64)
}

// DefaultMemory is a machine's memory unless told otherwise.
const DefaultMemory = 128 << 20

// Module is a file for the kernel.
type Module struct {
	File string
	Args string // its command line, without the name of the file
	Data []byte // its content, if it is not to be read from File
}

// ParseModule reads "FILE ARGUMENTS".
func ParseModule(s string) (Module, error) {
	file, args, _ := strings.Cut(strings.TrimSpace(s), " ")
	if file == "" {
		return Module{}, fmt.Errorf("module %q: no file named", s)
	}
	return Module{File: file, Args: strings.TrimSpace(args)}, nil
}

// ParseSize reads an amount of memory: a number of MiB, or of what a suffix
// K, M or G says.
func ParseSize(s string) (uint64, error) {
	number, shift := strings.TrimSuffix(strings.TrimSuffix(s, "B"), "i"), 20
	if n := len(number); n > 0 {
		if i := strings.IndexByte("KMG", number[n-1]&^0x20); i >= 0 {
			number, shift = number[:n-1], 10*(i+1)
		}
	}
	v, err := strconv.ParseUint(number, 10, 64)
	if err != nil || bits.LeadingZeros64(v) < shift {
		return 0, fmt.Errorf("memory size %q: want a number, followed by K, M or G", s)
	}
	return v << shift, nil
}

// commandLine is what a loader passes on: the name of the file first.
func commandLine(file, args string) string {
	if args == "" {
		return file
	}
	return file + " " + args
}

// load makes the machine and puts everything into it.
func (o *Options) load() (*machine.Machine, error) {
	image := o.Image
	if image == nil {
		b, err := os.ReadFile(o.Kernel)
		if err != nil {
			return nil, fmt.Errorf("kernel: %w", err)
		}
		image = b
	}
	var modules []machine.Module
	for _, mod := range o.Modules {
		data := mod.Data
		if data == nil {
			b, err := os.ReadFile(mod.File)
			if err != nil {
				return nil, fmt.Errorf("module: %w", err)
			}
			data = b
		}
		modules = append(modules, machine.Module{Args: commandLine(mod.File, mod.Args), Data: data})
	}
	m, err := machine.New(machine.Config{Memory: o.Memory, Model: o.Model, Inputs: o.Replay})
	if err != nil {
		return nil, err
	}
	if err := m.LoadMultiboot(image, commandLine(o.Kernel, o.Append), modules); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Kernel, err)
	}
	return m, nil
}
