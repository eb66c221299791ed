// Package machine is a whole computer: a processor, memory and devices wired
// as a board, with a clock, a way in for the outside world, and snapshots.
//
//	m, err := machine.New(machine.Config{Memory: 64 << 20})
//	err = m.LoadMultiboot(kernel, "command line", modules)
//	stop := m.Run(1_000_000)
//
// Time is the count of instructions. A machine is a pure function of what it
// was loaded with and of its input log: no clock, no randomness and no
// goroutine of the host can reach it. [Machine.Run] stops before any chosen
// instruction; a [Snapshot] taken there and restored, in this machine or in
// another of the same configuration, continues to the same [Digest].
package machine
