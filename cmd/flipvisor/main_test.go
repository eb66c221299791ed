package main

import (
	"errors"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/flipvisor/flipvisor/campaigns/lab"
	"github.com/flipvisor/flipvisor/internal/fakelab"
)

// The scripts in testdata/script use two commands: flipvisor is the whole
// command line on a machine made of arithmetic, flipvisor-real is the whole
// command line.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"flipvisor": func() {
			a := app{build: fakelab.Builder(fakeOptions()), in: os.Stdin, out: os.Stdout, err: os.Stderr}
			os.Exit(a.main(os.Args[1:]))
		},
		"flipvisor-real": func() {
			a := app{build: lab.New, in: os.Stdin, out: os.Stdout, err: os.Stderr}
			os.Exit(a.main(os.Args[1:]))
		},
	})
}

// fakeOptions are what a script wants to go wrong, in environment variables.
func fakeOptions() fakelab.Options {
	number := func(name string) (int, bool) {
		n, err := strconv.Atoi(os.Getenv(name))
		return n, err == nil
	}
	var o fakelab.Options
	if ms, ok := number("FAKE_DELAY_MS"); ok {
		o.Delay = time.Duration(ms) * time.Millisecond
	}
	if n, ok := number("FAKE_PANIC"); ok {
		o.Panic = func(i int) bool { return i == n }
	}
	if n, ok := number("FAKE_IMAGE"); ok {
		o.Image = uint64(n)
	}
	if s := os.Getenv("FAKE_BUILD_ERROR"); s != "" {
		o.BuildError = errors.New(s)
	}
	o.Harmless = os.Getenv("FAKE_HARMLESS") != ""
	return o
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("CAMPAIGNS", repository(t)+"/campaigns")
			e.Setenv("TMPDIR", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":   cmdStatus,
			"truncate": cmdTruncate,
			"waitfor":  cmdWaitFor,
		},
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

func repository(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir + "/../.."
}

// cmdStatus runs a program and checks its exit status: status 3 flipvisor …
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N command...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exit interface{ ExitCode() int }
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}

// cmdTruncate cuts bytes off the end of a file: truncate FILE N.
func cmdTruncate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: truncate file bytes")
	}
	n, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	path := ts.MkAbs(args[0])
	info, err := os.Stat(path)
	ts.Check(err)
	ts.Check(os.Truncate(path, info.Size()-n))
}

// cmdWaitFor waits until a file is there and not empty.
func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor file")
	}
	path := ts.MkAbs(args[0])
	for range 1000 {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	ts.Fatalf("%s did not appear", args[0])
}
