package machine

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestWorkloads: every workload of the mini-OS computes on the bare machine
// what the same source computes on the host (hv/src/guest/digests.txt).
func TestWorkloads(t *testing.T) {
	for line := range strings.Lines(string(readImage(t, "hv/src/guest/digests.txt"))) {
		var workload, digest string
		var scale, seed int
		if _, err := fmt.Sscan(line, &workload, &scale, &seed, &digest); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		t.Run(fmt.Sprintf("%s-%d-%d", workload, scale, seed), func(t *testing.T) {
			t.Parallel()
			p := miniOS(workload)
			p.cmdline = fmt.Sprintf("minios workload=%s scale=%d seed=%d", workload, scale, seed)
			m, out := p.boot(t)
			stop := m.Run(tooLong)
			if stop.Reason != Exited || stop.Code != 0 || !bytes.Contains(out.Bytes(), []byte(workload+" digest "+digest)) {
				t.Errorf("%v at %d; want digest %s\n%s", stop, m.Count(), digest, out)
			}
		})
	}
}
