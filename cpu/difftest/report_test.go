package difftest

import (
	"encoding/json"
	"testing"

	"github.com/flipvisor/flipvisor/cpu/decode"
	"github.com/flipvisor/flipvisor/machine/exec"
)

// TestReproduction: the line for flipvisor exec that a failure prints is one
// that it accepts, and does what the case does.
func TestReproduction(t *testing.T) {
	e, b := NewEmulator(), exec.New()
	same, cases := 0, 0
	for i, f := range Forms(decode.Mode64) {
		k := Generate(f, uint64(i))
		e.Load(k)
		var out Outcome
		if e.Run(k, &out); out.Event != done || k.Flavor != Step || k.Form.Key.rep != decode.RepNone {
			continue
		}
		var c exec.Case
		if err := json.Unmarshal([]byte(k.exec()), &c); err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		r, err := b.Run(&c)
		if err != nil {
			t.Fatalf("%s: %v", k, err)
		}
		var fx decode.Effects
		k.Inst.Effects(&fx)
		cases++
		equal := r.Stop == "limit" && r.Regs["rip"].Lo == out.RIP
		for i, name := range gprNames {
			if fx.Read.GPR[i]|fx.Write.GPR[i] != 0 && r.Regs[name].Lo != out.GPR[i] {
				equal = false
			}
		}
		if equal {
			same++
		}
	}
	// A line has only the memory around what the case names, and the read-only
	// page not at all.
	if same*100 < cases*95 {
		t.Errorf("%d of %d lines do what their cases do", same, cases)
	}
	t.Logf("%d of %d", same, cases)
}
