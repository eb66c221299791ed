package machine

import (
	"os"
	"testing"
)

// BenchmarkWorkload runs each guest workload on the bare machine and reports
// million instructions per second of the host's time.
func BenchmarkWorkload(b *testing.B) {
	image, err := os.ReadFile("../hv/images/minios.elf")
	if err != nil {
		b.Fatal(err)
	}
	for _, workload := range []string{"mcf", "bzip2", "freqmine", "canneal", "x264", "postmark", "seqread", "seqwrite"} {
		b.Run(workload, func(b *testing.B) {
			total := uint64(0)
			for range b.N {
				b.StopTimer()
				m, err := New(Config{Memory: 32 << 20})
				if err != nil {
					b.Fatal(err)
				}
				if err := m.LoadMultiboot(image, "workload="+workload+" scale=4", nil); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				stop := m.Run(1 << 40)
				if stop.Reason != Exited || stop.Code != 0 {
					b.Fatalf("%v", stop)
				}
				total += m.Count()
			}
			b.ReportMetric(float64(total)/b.Elapsed().Seconds()/1e6, "MIPS")
		})
	}
}

// BenchmarkRestore goes back to a snapshot from a machine that has written to
// 64 pages since.
func BenchmarkRestore(b *testing.B) {
	image, err := os.ReadFile("../hv/images/minios.elf")
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Config{Memory: 128 << 20})
	if err != nil {
		b.Fatal(err)
	}
	if err := m.LoadMultiboot(image, "workload=seqwrite", nil); err != nil {
		b.Fatal(err)
	}
	m.Run(1_000_000)
	s := m.Snapshot()
	for b.Loop() {
		b.StopTimer()
		for page := range uint64(64) {
			m.Mem.Write(64<<20+page*4096, 8, page+1)
		}
		b.StartTimer()
		if err := m.Restore(s); err != nil {
			b.Fatal(err)
		}
	}
}
