// Package devices is the PC around the processor: interrupt controllers,
// timers, the serial port, and the few ports through which a program on the
// machine talks to the bench.
//
// A device is a plain struct. It knows four small things about the world,
// each given when it is made, so that it can be tested without a machine:
//
//   - Clock says how many instructions have retired. That count, the tick, is
//     the only time there is: a device never reads a wall clock.
//   - Line is an interrupt wire to whatever listens.
//   - a Notify function is called when something changed that the processor
//     or the board must look at again: a pending interrupt, or a deadline.
//   - callbacks and sinks carry bytes out of the machine.
//
// A device that acts by itself as time passes is Timed. It schedules no
// callbacks, which a snapshot could not hold; it says when it next wants to
// act, and the board, which keeps the least of these deadlines, calls
// Advance when the count is reached. What merely changes with time (a timer's
// current count) is computed from the count when it is read and costs
// nothing in between.
//
// Every device names its whole state in one Walk method, from which come
// snapshots, digests and what a person is shown. Guests are untrusted: no
// sequence of accesses may panic, and fuzz tests hold the devices to that.
//
// Comments cite the Intel SDM by volume and section, in the numbering in
// which the local APIC is chapter 10 of Volume 3A, and the devices' data
// sheets by name.
package devices
