package inject

import (
	"testing"

	"github.com/flipvisor/flipvisor/cpu"
)

// TestNamesOfTheProcessor: what is written here about VM exits and control
// structures is called by the processor's own names.
func TestNamesOfTheProcessor(t *testing.T) {
	for r := range 70 {
		if here, there := ExitReason(r).String(), cpu.ExitReason(r).String(); here != there {
			t.Errorf("exit reason %d is %s here and %s there", r, here, there)
		}
	}
	for _, f := range VMCSFields() {
		if there, err := cpu.ParseVMCSField(f.String()); err != nil || uint16(there) != uint16(f) {
			t.Errorf("field %#x is %s here, there: %v %v", uint16(f), f, there, err)
		}
	}
}
