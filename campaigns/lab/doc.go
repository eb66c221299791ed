// Package lab runs experiments on the real thing: the machine with the
// hypervisor and its guests.
//
// The golden run is made twice. The first run tells how long it is and what
// it consists of; the second repeats it, must come to the same digest, and
// leaves a ladder of snapshots behind. An experiment restores the rung below
// its trigger, runs to the exact instruction, flips, and runs on. Until the
// flipped bits are read or overwritten it is watched (inject.Watcher); beside
// it, for a while, a second machine repeats the golden run, so that the first
// instruction at which the two differ is known. At each later rung the
// machine is compared with the golden one, and if they are equal the fault is
// masked and the experiment ends.
package lab
