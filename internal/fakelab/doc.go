// Package fakelab is a machine made of arithmetic: it behaves like a lab in
// every way that campaigns, reports and the command line can see, in
// microseconds and without a processor. What happens in it is decided by
// hashing; what it claims to be is consistent (see [inject.Result.Check])
// and always the same. It is for tests alone.
package fakelab
