// Package boot runs a kernel for a person: its console on a terminal, and,
// when it dies, what it did last.
//
//	s, err := boot.New(boot.Options{Kernel: "kernel.elf", Memory: 64 << 20})
//	ending := s.Run(ctx)
//	ending.Print(os.Stderr)
//	os.Exit(ending.Status())
//
// The kernel and its modules get the command lines that other loaders of
// multiboot kernels give them: the file's name as it was written, then the
// arguments.
//
// Nothing is traced while the machine runs. It leaves checkpoints behind, and
// after a triple fault or an endless halt it goes back to one and executes
// the end again, this time watched: it is deterministic, so this is what
// happened.
package boot
