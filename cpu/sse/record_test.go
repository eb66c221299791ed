package sse

import (
	"bufio"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/fnv"
	"os"
	"strings"
	"testing"

	"github.com/flipvisor/flipvisor/cpu/sse/internal/native"
)

var record = flag.Bool("record", false, "ask the processor and rewrite testdata/recorded.txt")

const recordedFile = "testdata/recorded.txt"

// TestRecorded stands in for the processor on hosts that are none: the cases
// come from a generator that gives the same ones everywhere, and what a
// processor answered to all cases of an instruction is on file as a digest.
func TestRecorded(t *testing.T) {
	all := concat(floatInstructions, approximations, integerInstructions, immediateInstructions)
	if *record {
		writeRecorded(t, all)
	}
	want := readRecorded(t)
	got := digests(all, func(i int, s *native.State) {
		if all[i].ours(s) {
			s.Faulted = 1
		}
	})
	if len(got) != len(want) {
		t.Errorf("%s has %d instructions, there are %d; run with -record", recordedFile, len(want), len(got))
	}
	for name, digest := range got {
		if want[name] != digest {
			t.Errorf("%s: the answers are not the recorded ones", name)
		}
	}
}

// digests runs the cases of every instruction. Instructions that differ in
// the immediate share a digest.
func digests(all []instruction, run func(i int, s *native.State)) map[string]uint64 {
	sums := make(map[string]uint64)
	for n, in := range all {
		name, cases := in.family(), 1_000
		if in.immediate {
			cases = 20
		}
		hash := fnv.New64a()
		binary.Write(hash, binary.LittleEndian, sums[name])
		r := rng(n)
		for ; cases > 0; cases-- {
			s := in.randomState(&r)
			if bits := r.next(); bits&1 != 0 {
				s.MXCSR = uint32(bits>>1) & uint32(ControlMask)
			}
			run(n, &s)
			binary.Write(hash, binary.LittleEndian, &s)
		}
		sums[name] = hash.Sum64()
	}
	return sums
}

// family is the name without the value of the immediate.
func (in *instruction) family() string {
	if in.immediate {
		return in.name[:len(in.name)-len(" 00")]
	}
	return in.name
}

func writeRecorded(t *testing.T, all []instruction) {
	codes := make([]native.Code, len(all))
	for i := range all {
		all[i].runnable(t)
		codes[i] = all[i].assemble(t)
	}
	sums := digests(all, func(i int, s *native.State) {
		codes[i].Run(s)
		s.Flags &= arithmeticFlags
	})
	var text strings.Builder
	text.WriteString("# Digests of a processor's answers; written by go test -run TestRecorded -record.\n")
	written := make(map[string]bool)
	for _, in := range all {
		name := in.family()
		if !written[name] {
			written[name] = true
			fmt.Fprintf(&text, "%016x %s\n", sums[name], name)
		}
	}
	if err := os.WriteFile(recordedFile, []byte(text.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func readRecorded(t *testing.T) map[string]uint64 {
	file, err := os.Open(recordedFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	sums := make(map[string]uint64)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		sum, name, _ := strings.Cut(lines.Text(), " ")
		if sum == "#" {
			continue
		}
		var digest uint64
		if _, err := fmt.Sscanf(sum, "%x", &digest); err != nil {
			t.Fatalf("%s: %q: %v", recordedFile, lines.Text(), err)
		}
		sums[name] = digest
	}
	return sums
}
