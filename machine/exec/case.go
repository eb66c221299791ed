package exec

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"sort"
	"strconv"
	"strings"
)

// Case is code to run and the state to run it in.
type Case struct {
	Mode   int               `json:"mode"` // 64 or 32; 0 means 64
	Code   string            `json:"code"` // hexadecimal, blanks allowed
	At     Number            `json:"at"`   // where the code lies and begins
	Regs   map[string]Number `json:"regs"`
	Memory []Region          `json:"memory"`
	Limit  uint64            `json:"limit"` // instructions; 0 means 1000
	CPL    *int              `json:"cpl"`   // 0 or 3; absent means 0, where HLT ends a run
}

// Region is a piece of mapped memory.
type Region struct {
	At   Number `json:"at"`
	Size uint64 `json:"size,omitempty"`
	Hex  string `json:"hex"` // its first bytes; the rest is zero
}

// Result is the state after the run.
type Result struct {
	Stop         string            `json:"stop"` // hlt, limit, exception or error
	Error        string            `json:"error,omitempty"`
	Vector       *int              `json:"vector,omitempty"`
	ErrorCode    *uint32           `json:"error_code,omitempty"`
	CR2          *Number           `json:"cr2,omitempty"`
	Instructions uint64            `json:"instructions"`
	Regs         map[string]Number `json:"regs,omitempty"`
	Memory       []Region          `json:"memory,omitempty"`
	Trace        []Traced          `json:"trace,omitempty"`
}

// Traced is one executed instruction.
type Traced struct {
	RIP   Number            `json:"rip"`
	Bytes string            `json:"bytes"`
	Text  string            `json:"text"`
	Read  map[string]Number `json:"read,omitempty"`  // as they were before
	Wrote map[string]Number `json:"wrote,omitempty"` // as they are after
}

// Number is an unsigned value of up to 128 bits. It is written as a string
// in hexadecimal, because JSON's numbers are not exact; plain small numbers
// are read too.
type Number struct {
	Lo, Hi uint64
	Wide   bool // printed with 32 digits
}

// N makes a 64-bit number.
func N(v uint64) Number { return Number{Lo: v} }

// MarshalJSON writes "0x…".
func (n Number) MarshalJSON() ([]byte, error) {
	if n.Wide {
		return fmt.Appendf(nil, `"0x%016x%016x"`, n.Hi, n.Lo), nil
	}
	return fmt.Appendf(nil, `"%#x"`, n.Lo), nil
}

// UnmarshalJSON reads "0x1f", "31" and 31.
func (n *Number) UnmarshalJSON(b []byte) error {
	s := string(b)
	if s[0] == '"' {
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
	}
	v, ok := new(big.Int).SetString(strings.ReplaceAll(s, "_", ""), 0)
	if !ok || v.Sign() < 0 || v.BitLen() > 128 {
		return fmt.Errorf("%s is no number of up to 128 bits; write it as %q or as a plain decimal", b, "0x1f")
	}
	n.Lo = new(big.Int).And(v, new(big.Int).SetUint64(^uint64(0))).Uint64()
	n.Hi = v.Rsh(v, 64).Uint64()
	return nil
}

// maxCode and maxRegions bound what a case may ask for.
const (
	maxCode   = 1 << 16
	maxMemory = 16 << 20
	maxLimit  = 1 << 32
)

// bytes decodes a hexadecimal field.
func decodeHex(field, s string) ([]byte, error) {
	b, err := hex.DecodeString(strings.Map(func(r rune) rune {
		if r == ' ' || r == '\n' || r == '\t' {
			return -1
		}
		return r
	}, s))
	if err != nil {
		return nil, fmt.Errorf("%s is not hexadecimal: %w", field, err)
	}
	return b, nil
}

// check says what makes a case impossible and fills in what was left out.
func (k *Case) check() (code []byte, contents [][]byte, err error) {
	if k.Mode == 0 {
		k.Mode = 64
	}
	if k.Mode != 64 && k.Mode != 32 {
		return nil, nil, fmt.Errorf("mode %d: there are 64 and 32", k.Mode)
	}
	if k.CPL == nil {
		k.CPL = new(int)
	}
	if *k.CPL != 0 && *k.CPL != 3 {
		return nil, nil, fmt.Errorf("cpl %d: there are 0 and 3", *k.CPL)
	}
	if k.Limit == 0 {
		k.Limit = 1000
	}
	if k.Limit > maxLimit {
		return nil, nil, fmt.Errorf("limit %d is over %d", k.Limit, uint64(maxLimit))
	}
	if code, err = decodeHex("code", k.Code); err != nil {
		return nil, nil, err
	}
	if len(code) == 0 {
		return nil, nil, fmt.Errorf("code is empty")
	}
	if len(code) > maxCode {
		return nil, nil, fmt.Errorf("code has %d bytes; %d are the most", len(code), maxCode)
	}
	if err := k.inRange("code", k.At, uint64(len(code))); err != nil {
		return nil, nil, err
	}
	total := uint64(0)
	for i := range k.Memory {
		r := &k.Memory[i]
		name := "memory[" + strconv.Itoa(i) + "]"
		b, err := decodeHex(name+".hex", r.Hex)
		if err != nil {
			return nil, nil, err
		}
		if r.Size == 0 {
			r.Size = uint64(len(b))
		}
		if uint64(len(b)) > r.Size {
			return nil, nil, fmt.Errorf("%s has %d bytes of content and a size of %d", name, len(b), r.Size)
		}
		if r.Size == 0 {
			return nil, nil, fmt.Errorf("%s has no size", name)
		}
		if total += r.Size; total > maxMemory || r.Size > maxMemory {
			return nil, nil, fmt.Errorf("%s: more than %d MiB of memory in all", name, maxMemory>>20)
		}
		if err := k.inRange(name, r.At, r.Size); err != nil {
			return nil, nil, err
		}
		contents = append(contents, b)
	}
	for _, name := range sortedNames(k.Regs) {
		if !known(name) {
			return nil, nil, fmt.Errorf("unknown register %q", name)
		}
	}
	return code, contents, nil
}

// inRange checks that size bytes can be mapped.
func (k *Case) inRange(name string, at Number, size uint64) error {
	first, last := at.Lo, at.Lo+size-1
	fits := at.Hi == 0 && last >= first
	if k.Mode == 32 {
		fits = fits && last < tables32
	} else {
		fits = fits && canonical(first) && canonical(last) && first>>63 == last>>63 && last < tables64
	}
	if !fits {
		return fmt.Errorf("%s at %#x, %d bytes, is outside the addresses of %d-bit mode", name, at.Lo, size, k.Mode)
	}
	return nil
}

func canonical(a uint64) bool { return uint64(int64(a<<16)>>16) == a }

func sortedNames(m map[string]Number) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
