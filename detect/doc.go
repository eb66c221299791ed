// Package detect is the host's side of transition detection (Xentry, ICPP
// 2014): before each VM entry the hypervisor asks a decision tree whether
// the work since the last exit looks like any it has seen go right, by five
// features: the exit's reason and the instructions, branches, loads and
// stores retired.
//
// The tree is judged by the hypervisor, in C. Here it is grown from samples
// ([Train]), written where people can read it ([Tree.WriteJSON]) and turned
// into the boot module that the hypervisor reads ([Tree.Encode]).
// [Tree.Judge] is the reference for both.
//
// A tree is trained for few false alarms first: they happen in a healthy
// system, over and over, while a missed fault has the other detector, and
// luck, against it.
package detect
