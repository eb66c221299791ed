package machine

import "fmt"

// Input is something that came from outside, with the count at which the
// machine saw it. The list of all inputs is the input log: a machine loaded
// alike and given the same log does the same.
type Input struct {
	Count uint64
	Kind  InputKind
	Data  []byte
}

// InputKind is the door an input came through.
type InputKind uint8

const (
	ConsoleInput  InputKind = iota // bytes received by COM1
	KeyboardInput                  // bytes from the keyboard, of scan code set 1
)

var inputKinds = [...]string{ConsoleInput: "console", KeyboardInput: "keyboard"}

func (k InputKind) String() string { return inputKinds[k] }

// ParseInputKind reads what String prints.
func ParseInputKind(s string) (InputKind, error) {
	for k, name := range inputKinds {
		if s == name {
			return InputKind(k), nil
		}
	}
	return 0, fmt.Errorf("unknown input %q", s)
}

// Input gives the machine something from outside, now.
func (m *Machine) Input(kind InputKind, data []byte) {
	m.apply(Input{Count: m.CPU.Count, Kind: kind, Data: append([]byte(nil), data...)})
}

func (m *Machine) apply(in Input) {
	in.Count = m.CPU.Count
	m.log = append(m.log, in)
	switch in.Kind {
	case ConsoleInput:
		for _, b := range in.Data {
			m.UART.Receive(b)
		}
	case KeyboardInput:
		for _, b := range in.Data {
			m.Keyboard.Key(b)
		}
	}
}

// Log is the input log so far.
func (m *Machine) Log() []Input { return m.log }

// SetInputs replaces the inputs still to come, in order of their counts, as
// after a Restore.
func (m *Machine) SetInputs(inputs []Input) {
	m.inputs = append([]Input(nil), inputs...)
	m.log = nil
}
