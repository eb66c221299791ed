package difftest

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var record = flag.Bool("record", false, "write testdata/recorded.gz anew, from the processor of this machine")

const recordedFile = "testdata/recorded.gz"

// TestRecorded runs cases whose outcome was recorded on a processor:
//
//	go test ./cpu/difftest -run TestRecorded -record
func TestRecorded(t *testing.T) {
	if *record {
		all, err := Record(200)
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := WriteRecorded(&b, all); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(recordedFile, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		t.Logf("%d cases in %d bytes", len(all), b.Len())
	}
	f, err := os.Open(recordedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := ReadRecorded(f)
	if err != nil {
		t.Fatal(err)
	}
	failed, err := Replay(all)
	if err != nil {
		t.Fatal(err)
	}
	for i := range failed[:min(len(failed), 12)] {
		t.Error(failed[i].String())
	}
	t.Logf("%d recorded cases; %d differ", len(all), len(failed))
}
