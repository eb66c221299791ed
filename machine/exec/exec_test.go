package exec

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCases runs cases as a user writes them.
func TestCases(t *testing.T) {
	for _, c := range []struct {
		name, line string
		stop       string
		vector     int
		code       int64
		cr2        string
		n          uint64
		regs       map[string]string
		memory     string
	}{
		{name: "add", line: `{"code":"48 01 d8 f4","at":"0x10000","regs":{"rax":"0x1","rbx":2}}`,
			stop: "hlt", n: 2, regs: map[string]string{"rax": `"0x3"`, "rip": `"0x10004"`}},
		{name: "limit", line: `{"code":"eb fe","at":65536,"limit":5}`, stop: "limit", n: 5, regs: map[string]string{"rip": `"0x10000"`}},
		{name: "page fault", line: `{"code":"48 8b 03","at":"0x10000","regs":{"rbx":"0x200000"},"cpl":3}`,
			stop: "exception", vector: 14, code: 4, cr2: `"0x200000"`, regs: map[string]string{"rip": `"0x10000"`}},
		{name: "load and store", line: `{"code":"8b 03 89 43 04 f4","at":"0x10000","regs":{"rbx":"0x200000"},"memory":[{"at":"0x200000","size":16,"hex":"78563412"}]}`,
			stop: "hlt", n: 3, regs: map[string]string{"rax": `"0x12345678"`}, memory: "78563412785634120000000000000000"},
		{name: "page fault in 32-bit mode", line: `{"mode":32,"code":"a1 00 00 30 00","at":"0x10000"}`, stop: "exception", vector: 14, code: 0, cr2: `"0x300000"`},
		{name: "hlt at CPL 3", line: `{"code":"f4","at":"0x10000","cpl":3}`, stop: "exception", vector: 13, code: 0},
		{name: "undefined", line: `{"code":"0f 0b","at":"0x10000"}`, stop: "exception", vector: 6, code: -1},
		{name: "divide error", line: `{"code":"f7 f1","at":"0x10000"}`, stop: "exception", vector: 0, code: -1},
		{name: "int3", line: `{"code":"cc","at":"0x10000"}`, stop: "exception", vector: 3, code: -1, n: 1, regs: map[string]string{"rip": `"0x10001"`}},
		{name: "sse", line: `{"code":"0f 58 c1 f4","at":"0x10000","regs":{"xmm0":"0x3f8000003f8000003f8000003f800000","xmm1":"0x40000000400000004000000040000000"}}`,
			stop: "hlt", n: 2, regs: map[string]string{"xmm0": `"0x40400000404000004040000040400000"`}},
		{name: "32-bit registers wrap", line: `{"mode":32,"code":"40 f4","at":"0x10000","regs":{"rax":"0xffffffff"}}`, stop: "hlt", n: 2, regs: map[string]string{"rax": `"0x0"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := New()
			r, err := b.line([]byte(c.line))
			if err != nil {
				t.Fatal(err)
			}
			if r.Stop != c.stop || c.n != 0 && r.Instructions != c.n {
				t.Errorf("stop %s after %d instructions", r.Stop, r.Instructions)
			}
			if c.stop == "exception" {
				if r.Vector == nil || *r.Vector != c.vector {
					t.Errorf("vector %v", r.Vector)
				}
				if c.code < 0 != (r.ErrorCode == nil) || c.code >= 0 && r.ErrorCode != nil && int64(*r.ErrorCode) != c.code {
					t.Errorf("error code %v", r.ErrorCode)
				}
			}
			text := func(v any) string {
				s, _ := json.Marshal(v)
				return string(s)
			}
			if c.cr2 != "" && text(r.CR2) != c.cr2 {
				t.Errorf("cr2 %s", text(r.CR2))
			}
			for name, want := range c.regs {
				if got := text(r.Regs[name]); got != want {
					t.Errorf("%s is %s, want %s", name, got, want)
				}
			}
			if c.memory != "" && r.Memory[0].Hex != c.memory {
				t.Errorf("memory %s", r.Memory[0].Hex)
			}
		})
	}
}

// TestBadCases: each mistake is named, and the other lines are run.
func TestBadCases(t *testing.T) {
	for line, want := range map[string]string{
		`{`:                                   "unexpected EOF",
		`{"code":"f4","at":0,"mode":16}`:      "mode 16: there are 64 and 32",
		`{"code":"f4","at":0,"cpl":1}`:        "cpl 1: there are 0 and 3",
		`{"code":"zz","at":0}`:                "code is not hexadecimal",
		`{"code":"","at":0}`:                  "code is empty",
		`{"code":"f4","at":"x"}`:              "is no number",
		`{"code":"f4","at":0,"regs":{"q":1}}`: `unknown register "q"`,
		`{"code":"f4","at":0,"foo":1}`:        `unknown field "foo"`,
		`{"code":"f4","at":"0x800000000000"}`: "outside the addresses of 64-bit mode",
		`{"code":"f4","at":0,"memory":[{"at":0,"size":999999999999,"hex":""}]}`: "more than 16 MiB",
		`{"code":"f4","at":0,"memory":[{"at":0,"size":1,"hex":"0000"}]}`:        "2 bytes of content and a size of 1",
	} {
		var out strings.Builder
		err := New().Stream(strings.NewReader(line+"\n"+`{"code":"f4","at":0}`+"\n"), &out)
		lines := strings.Split(out.String(), "\n")
		if err == nil || !strings.Contains(lines[0], "line 1") || !strings.Contains(unquote(lines[0]), want) || !strings.Contains(lines[1], `"hlt"`) {
			t.Errorf("%s: %v\n%s", line, err, &out)
		}
	}
}

func unquote(line string) string {
	var r Result
	if json.Unmarshal([]byte(line), &r) != nil {
		return line
	}
	return r.Error
}

// TestCasesAreIndependent: a case gives the same whatever ran before it.
func TestCasesAreIndependent(t *testing.T) {
	cases := []string{
		`{"code":"48 89 03 f4","at":"0x10000","regs":{"rax":"0x1122334455667788","rbx":"0x10008"},"memory":[{"at":"0x11000","size":4096,"hex":""}]}`,
		`{"code":"48 8b 03 f4","at":"0x10000","regs":{"rbx":"0x10008"},"memory":[{"at":"0x11000","size":4096,"hex":""}]}`,
		`{"mode":32,"code":"66 0f 6f 03 f4","at":"0x10000","regs":{"rbx":"0x11000"},"memory":[{"at":"0x11000","size":16,"hex":"01"}]}`,
	}
	shared := New()
	for range 2 {
		for _, line := range cases {
			alone, err := New().line([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			after, err := shared.line([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(alone, after); d != "" {
				t.Errorf("%s: %s", line, d)
			}
		}
	}
}

// FuzzCase: no code and no state can do more than end in a result.
func FuzzCase(f *testing.F) {
	f.Add([]byte{0x48, 0x01, 0xd8, 0xf4}, uint64(1), false)
	f.Add([]byte{0xf3, 0xa4, 0xf4}, uint64(0x10000), true)
	f.Add([]byte{0x0f, 0x01, 0xc2}, uint64(0), false)
	b := New()
	f.Fuzz(func(t *testing.T, code []byte, reg uint64, narrow bool) {
		k := Case{At: N(0x10000), Code: hexOf(code), Limit: 50, Regs: map[string]Number{}}
		if narrow {
			k.Mode = 32
		}
		for _, name := range []string{"rax", "rbx", "rcx", "rsi", "rdi", "rsp"} {
			k.Regs[name] = N(reg)
		}
		if r, err := b.Run(&k); err == nil && r.Stop == "" {
			t.Error("no reason for the end")
		}
	})
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, v := range b {
		s.WriteByte(digits[v>>4])
		s.WriteByte(digits[v&15])
	}
	return s.String()
}

func BenchmarkCase(b *testing.B) {
	line := []byte(`{"code":"4801d8 0fafc3 4889442408 f4","at":"0x10000","regs":{"rsp":"0x200100"},"memory":[{"at":"0x200000","size":4096,"hex":""}]}`)
	bench := New()
	for b.Loop() {
		r, err := bench.line(line)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(r); err != nil {
			b.Fatal(err)
		}
	}
}
