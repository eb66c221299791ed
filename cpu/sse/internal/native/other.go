//go:build !(linux && amd64)

package native

// Available reports whether instructions can be run here.
const Available = false

// Code is an instruction made executable.
type Code uintptr

// Assemble panics: there is no processor to run on.
func Assemble(instruction []byte) Code { panic("native: not on linux/amd64") }

// Run panics: there is no processor to run on.
func (c Code) Run(s *State) { panic("native: not on linux/amd64") }

// Supports reports nothing: there is no processor to ask.
func Supports(feature string) bool { return false }
