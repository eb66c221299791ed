// Package exec runs single instructions and small pieces of code on the
// processor of package cpu, with nothing around them: flat segments, exactly
// the memory that is asked for, no devices, no interrupt table. It is a bench
// for teaching and for checking the processor against another one.
//
// A case is one JSON object; so is its result. See Case and Result.
package exec
