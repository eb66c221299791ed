package hv

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/flipvisor/flipvisor/machine"
)

// TestWorkloadDigests runs every workload on the machine and compares what
// it computes with what the same C code computes on the host.
func TestWorkloadDigests(t *testing.T) {
	table, err := os.ReadFile("src/guest/digests.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 4 || strings.HasPrefix(f[0], "#") {
			continue
		}
		t.Run(strings.Join(f[:3], "/"), func(t *testing.T) {
			var out bytes.Buffer
			m, err := machine.New(machine.Config{Memory: 32 << 20, Console: func(b byte) { out.WriteByte(b) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.LoadMultiboot(MiniOS, fmt.Sprintf("workload=%s scale=%s seed=%s", f[0], f[1], f[2]), nil); err != nil {
				t.Fatal(err)
			}
			if stop := m.Run(1 << 30); stop.Reason != machine.Exited || stop.Code != 0 {
				t.Fatalf("%v after:\n%s", stop, &out)
			}
			if want := f[0] + " digest " + f[3]; !strings.Contains(out.String(), want) {
				t.Errorf("want %q, have:\n%s", want, &out)
			}
		})
	}
}
