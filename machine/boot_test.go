package machine

import (
	"os"
	"testing"
)

func TestBootMiniOS(t *testing.T) {
	image, err := os.ReadFile("../hv/images/minios.elf")
	if err != nil {
		t.Fatal(err)
	}
	for _, workload := range []string{"seqread", "seqwrite", "bzip2", "mcf", "freqmine", "canneal", "x264", "postmark"} {
		t.Run(workload, func(t *testing.T) {
			var out []byte
			m, err := New(Config{Memory: 32 << 20, Console: func(b byte) { out = append(out, b) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := m.LoadMultiboot(image, "workload="+workload, nil); err != nil {
				t.Fatal(err)
			}
			stop := m.Run(100_000_000)
			t.Logf("%v at %d, rip %#x\n%s", stop, m.Count(), m.CPU.RIP, out)
			if stop.Reason != Exited {
				t.Errorf("stopped: %v", stop)
			}
		})
	}
}
