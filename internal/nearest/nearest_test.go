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
	long := []string{"rax", "rip", "a1", "a2", "a3", "a4", "a5", "a6", "a7"}
	tests := []struct {
		name  string
		known []string
		want  string
	}{
		{"rpi", long, `unknown register "rpi"; did you mean "rip"?`},
		{"speed", long, `unknown register "speed"`},
		{"speed", long[:2], `unknown register "speed"; it is one of rax, rip`},
		{"speed", nil, `unknown register "speed"`},
	}
	for _, tt := range tests {
		if got := Unknown("register", tt.name, tt.known).Error(); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}
