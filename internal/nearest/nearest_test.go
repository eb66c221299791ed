package nearest

import "testing"

func TestTo(t *testing.T) {
	registers := []string{"rax", "rbx", "rbp", "rip", "rflags", "kernel_gs_base"}
	tests := []struct{ word, want string }{
		{"rbq", "rbp"}, // one letter from rbx too, but a nearer letter
		{"rflag", "rflags"},
		{"RIP", "rip"},
		{"kernel_gsbase", "kernel_gs_base"},
		{"temperature", ""},
		{"zz", ""},
		{"", ""},
	}
	for _, tt := range tests {
		if got := To(tt.word, registers); got != tt.want {
			t.Errorf("To(%q) = %q, want %q", tt.word, got, tt.want)
		}
	}
	if got := To("x", nil); got != "" {
		t.Errorf("no candidates gave %q", got)
	}
}

func TestErrorReads(t *testing.T) {
	got := Unknown("register", "rpi", []string{"rax", "rip"}).Error()
	if want := `unknown register "rpi"; did you mean "rip"?`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got = Unknown("register", "speed", []string{"rax", "rip"}).Error()
	if want := `unknown register "speed"`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
