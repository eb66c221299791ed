package boot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/flipvisor/flipvisor/machine"
)

// tiny is a multiboot kernel of nothing but code, in 32-bit mode at 1 MiB.
func tiny(code ...byte) []byte {
	const base, header = 0x100000, 32
	h := []uint32{0x1badb002, 1 << 16, 0, base, base, 0, 0, base + header}
	h[2] = -(h[0] + h[1])
	var b []byte
	for _, w := range h {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return append(b, code...)
}

func run(t *testing.T, o Options) (*Ending, string) {
	t.Helper()
	var out bytes.Buffer
	o.Console = &out
	if o.Kernel == "" {
		o.Kernel = "tiny"
	}
	o.Memory = 4 << 20
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), time.Minute, errors.New("it hangs"))
	defer cancel()
	return s.Run(ctx), out.String()
}

// TestEndings: each way to end, its exit status, and what it says.
func TestEndings(t *testing.T) {
	for _, c := range []struct {
		name   string
		code   []byte
		after  uint64
		status int
		want   []string
	}{
		{"exit port, 8 bits", []byte{0xb0, 5, 0xe6, 0xf4}, 0, 11, []string{"exit port written: 5, after 2 instructions"}},
		{"exit port, 32 bits", []byte{0xb8, 0, 1, 0, 0, 0xe7, 0xf4}, 0, 1, []string{"exit port written: 256"}},
		{"after so many", []byte{0xeb, 0xfe}, 1000, 0, []string{"count reached, after 1000 instructions"}},
		{"power off", []byte{0x66, 0xba, 4, 6, 0x66, 0xb8, 0, 0x20, 0x66, 0xef}, 0, 0, []string{"powered off"}},
		{"triple fault", []byte{0xbb, 7, 0, 0, 0, 0x0f, 0x0b}, 0, StatusDied,
			[]string{"triple fault, after 2 instructions", "rbx 0000000000000007", "mov ebx, 0x7", "ud2", "-- #UD", "-- #DF(0x0)"}},
		{"endless halt", []byte{0xfa, 0xf4}, 0, StatusDied, []string{"halted with nothing to wake it", "cli", "hlt", "halted"}},
		{"endless halt with interrupts, all masked", []byte{0xb0, 0xff, 0xe6, 0x21, 0xe6, 0xa1, 0xfb, 0xf4}, 0, StatusDied,
			[]string{"halted with nothing to wake it"}},
		{"reset by the keyboard controller", []byte{0xb0, 0xfe, 0xe6, 0x64}, 0, StatusDied, []string{"reset by the keyboard controller", "out 0x64, al"}},
		{"reset by port 92", []byte{0xb0, 1, 0xe6, 0x92}, 0, StatusDied, []string{"reset by port 0x92"}},
		{"reset by port cf9", []byte{0x66, 0xba, 0xf9, 0x0c, 0xb0, 6, 0xee}, 0, StatusDied, []string{"reset by port 0xcf9"}},
		{"a dword to cf8 is no reset", []byte{0x66, 0xba, 0xf8, 0x0c, 0xb8, 0, 4, 0, 0x80, 0xef, 0x31, 0xc0, 0xe7, 0xf4}, 0, 1, nil},
		{"INIT", []byte{0xc7, 0x05, 0, 3, 0xe0, 0xfe, 0, 0x45, 0, 0, 0xeb, 0xfe}, 0, StatusDied,
			[]string{"reset by INIT or a jump to the reset vector, where there is no firmware"}},
		{"not implemented", []byte{0xc7, 0xf8, 0, 0, 0, 0}, 0, StatusFailed, []string{"instruction not implemented: c7 f8 00 00 00 00 (xbegin"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, _ := run(t, Options{Image: tiny(c.code...), ExitAfter: c.after})
			var b strings.Builder
			if err := e.Print(&b); err != nil {
				t.Fatal(err)
			}
			if e.Status() != c.status {
				t.Errorf("status %d, want %d", e.Status(), c.status)
			}
			for _, w := range c.want {
				if !strings.Contains(b.String(), w) {
					t.Errorf("%q is missing", w)
				}
			}
			if strings.Contains(b.String(), "second time") {
				t.Error("it did not go the same way again")
			}
			if t.Failed() {
				t.Log("\n" + b.String())
			}
		})
	}
}

// TestLastMomentsFarFromTheStart: the end is found from a checkpoint, with the
// input that came after it.
func TestLastMomentsFarFromTheStart(t *testing.T) {
	// in a loop, wait for bytes; at "x", ud2
	code := []byte{
		0x66, 0xba, 0xfd, 0x03, // mov dx, 0x3fd
		0xec, 0xa8, 0x01, 0x74, 0xfb, // 1: in al, dx; test al, 1; jz 1b
		0x66, 0xba, 0xf8, 0x03, 0xec, // mov dx, 0x3f8; in al, dx
		0x3c, 'x', 0x75, 0xec, 0x0f, 0x0b, // cmp al, 'x'; jne start; ud2
	}
	r, w := io.Pipe()
	go func() {
		for range 5 {
			_, _ = w.Write([]byte("ab"))
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(500 * time.Millisecond)
		_, _ = w.Write([]byte("x"))
	}()
	e, _ := run(t, Options{Image: tiny(code...), Input: r})
	if e.Stop.Reason != machine.Shutdown {
		t.Fatalf("%v, %v", e.Stop, e.Err)
	}
	last := strings.Join(e.Last, "")
	if !strings.Contains(last, "cmp al, 0x78") || !strings.Contains(last, "-- #UD") || strings.Contains(last, "second time") {
		t.Errorf("after %d instructions:\n%s", e.Count, last)
	}
}

func echo(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../../testdata/kernels/echo32.elf")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestConsole: input wakes a halted machine, and a recorded session is the
// same when it is replayed.
func TestConsole(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		for _, s := range []string{"first ", "second ", "q"} {
			time.Sleep(30 * time.Millisecond)
			_, _ = w.Write([]byte(s))
		}
	}()
	var out bytes.Buffer
	o := Options{Kernel: echo(t), Memory: 16 << 20, Input: r, Console: &out}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	e := s.Run(context.Background())
	want := "echo\r\nFIRST SECOND \r\necho32: done, 0 passed, 0 failed, 0 skipped\r\n"
	if out.String() != want || e.Status() != 1 {
		t.Errorf("status %d, output %q, want %q", e.Status(), out.String(), want)
	}
	var file bytes.Buffer
	if err := WriteLog(&file, s.Log()); err != nil {
		t.Fatal(err)
	}
	if o.Replay, err = ReadLog(&file); err != nil {
		t.Fatal(err)
	}
	o.Input = strings.NewReader("this is not what came the first time")
	var again bytes.Buffer
	o.Console = &again
	s2, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	e2 := s2.Run(context.Background())
	if e2.Count != e.Count || again.String() != out.String() || s2.Machine.Digest() != s.Machine.Digest() {
		t.Errorf("replayed: %d instructions, %q; recorded: %d, %q", e2.Count, again.String(), e.Count, out.String())
	}
}

// TestLeaving: a person can go while the machine waits for a key.
func TestLeaving(t *testing.T) {
	r, w := io.Pipe()
	go func() {
		time.Sleep(30 * time.Millisecond)
		_, _ = w.Write([]byte("a\x01x"))
	}()
	ctx, cancel := context.WithCancelCause(context.Background())
	var out bytes.Buffer
	s, err := New(Options{
		Kernel: echo(t), Memory: 16 << 20, Pace: true, Console: &out,
		Input: NewKeys(iotestOneByte{r}, func() { cancel(ErrLeft) }),
	})
	if err != nil {
		t.Fatal(err)
	}
	e := s.Run(ctx)
	if !errors.Is(e.Err, ErrLeft) || e.Status() != StatusInterrupted || len(e.Last) != 0 || !strings.Contains(out.String(), "A") {
		t.Errorf("%v, %v, status %d, output %q", e.Stop, e.Err, e.Status(), out.String())
	}
}

// TestMuchInput: no byte is lost, however much comes at once.
func TestMuchInput(t *testing.T) {
	text := strings.Repeat("abcdefghijklm", 20_000)
	var out bytes.Buffer
	s, err := New(Options{Kernel: echo(t), Memory: 16 << 20, Input: strings.NewReader(text + "q"), Console: &out})
	if err != nil {
		t.Fatal(err)
	}
	if e := s.Run(context.Background()); e.Status() != 1 || !strings.Contains(out.String(), strings.ToUpper(text)) {
		t.Errorf("%v, %d bytes of output for %d", e.Stop, out.Len(), len(text))
	}
}

func TestTrace(t *testing.T) {
	var trace bytes.Buffer
	run(t, Options{Image: tiny(0xb0, 0, 0xe6, 0xf4), Trace: &trace, Symbols: func(a uint64) (string, uint64) {
		return "start", 0x100020
	}})
	want := "" +
		"           0  0000000000100020  start                         mov al, 0x0\n" +
		"           1  0000000000100022  start+0x2                     out 0xf4, al\n"
	if d := cmp.Diff(want, trace.String()); d != "" {
		t.Error(d)
	}
}

// TestCannotBoot: what cannot be booted is named.
func TestCannotBoot(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	kernel := file("kernel", tiny(0xf4))
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"no such kernel", Options{Kernel: filepath.Join(dir, "none")}, "kernel: open " + dir + "/none: no such file"},
		{"no multiboot kernel", Options{Kernel: file("text", []byte("hello"))}, dir + "/text: no multiboot kernel"},
		{"no such module", Options{Kernel: kernel, Modules: []Module{{File: filepath.Join(dir, "none")}}}, "module: open " + dir + "/none: no such file"},
		{"memory of one page", Options{Kernel: kernel, Memory: 4096}, "memory of 4096 bytes: must be a multiple of 4096 from 1048576"},
		{"module too large", Options{Kernel: kernel, Memory: 2 << 20, Modules: []Module{{File: "m", Data: make([]byte, 2<<20)}}},
			"module 1 (2048 KiB) does not fit into memory of 2048 KiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestParseModule(t *testing.T) {
	for s, want := range map[string]Module{
		"file":                       {File: "file"},
		" dir/file  guest -- a=1 b ": {File: "dir/file", Args: "guest -- a=1 b"},
	} {
		got, err := ParseModule(s)
		if err != nil || cmp.Diff(got, want) != "" {
			t.Errorf("%q: %+v, %v", s, got, err)
		}
	}
	if _, err := ParseModule("  "); err == nil {
		t.Error("a module without a file")
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]uint64{
		"64": 64 << 20, "64M": 64 << 20, "64MiB": 64 << 20, "1g": 1 << 30, "2048K": 2 << 20, "2GB": 2 << 30,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "M", "-1", "1.5G", "64T", "99999999999G", "B", "1 G"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q is %d", s, got)
		}
	}
}

// TestKeys: what leaves, and what gets through.
func TestKeys(t *testing.T) {
	for _, c := range []struct {
		in, out string
		left    bool
	}{
		{"abc", "abc", false},
		{"ab\x03c", "ab", true},
		{"ab\x01xc", "ab", true},
		{"a\x01\x03\x01\x01b", "a\x03\x01b", false},
		{"a\x01yb", "ayb", false},
	} {
		left := false
		got, err := io.ReadAll(NewKeys(iotestOneByte{strings.NewReader(c.in)}, func() { left = true }))
		if string(got) != c.out || left != c.left || err != nil {
			t.Errorf("%q: %q, left %v, %v; want %q, %v", c.in, got, left, err, c.out, c.left)
		}
	}
}

// iotestOneByte gives a byte at a time, as a terminal does.
type iotestOneByte struct{ r io.Reader }

func (o iotestOneByte) Read(p []byte) (int, error) { return o.r.Read(p[:1]) }

func TestLines(t *testing.T) {
	var b bytes.Buffer
	w := NewLines(&b)
	for _, s := range []string{"a\nb\r", "\nc\n"} {
		if n, err := w.Write([]byte(s)); n != len(s) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	if b.String() != "a\r\nb\r\nc\r\n" {
		t.Errorf("%q", b.String())
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add(logHeader + "\n1 console 00ff\n7 keyboard 1e\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		log, err := ReadLog(strings.NewReader(s))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := WriteLog(&b, log); err != nil {
			t.Fatal(err)
		}
		again, err := ReadLog(&b)
		if err != nil || cmp.Diff(log, again) != "" {
			t.Errorf("%v: %s", err, cmp.Diff(log, again))
		}
	})
}
