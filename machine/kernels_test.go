package machine

import (
	"bytes"
	"strings"
	"testing"
)

// kernels are the test kernels of testdata/kernels, which check the machine
// from within.
var kernels = []string{
	"exceptions64", "paging64", "transfers64", "debug64", "interrupts64", "code64", "protected32", "paging32",
}

func kernel(name string) program {
	return program{name: name, image: "testdata/kernels/" + name + ".elf", memory: 64 << 20}
}

func TestKernels(t *testing.T) {
	for _, name := range kernels {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := kernel(name)
			m, out := p.boot(t)
			stop := m.Run(tooLong)
			passed := 0
			for line := range strings.Lines(out.String()) {
				if strings.HasPrefix(line, "PASS ") {
					passed++
					continue
				}
				if !strings.HasPrefix(line, name+": done") {
					t.Errorf("%s", line)
				}
			}
			if stop.Reason != Exited || stop.Code != 0 || passed == 0 || !bytes.Contains(out.Bytes(), []byte(": done")) {
				t.Errorf("%v at %d, with %d checks passed", stop, m.Count(), passed)
			}
		})
	}
}
