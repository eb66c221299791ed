package difftest

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/flipvisor/flipvisor/cpu/decode"
)

func (k *Case) String() string {
	return fmt.Sprintf("%d-bit % x (%s)", k.Mode*8, k.Code, k.text())
}

// text is the disassembly.
func (k *Case) text() string {
	var lines []string
	rip := k.In.RIP
	for code := k.Code; len(code) > 0; {
		var d decode.Inst
		if decode.DecodeInto(&d, code, k.Mode) != nil {
			lines = append(lines, "(bad)")
			break
		}
		lines = append(lines, d.Text(rip, nil))
		rip, code = rip+uint64(d.Len), code[d.Len:]
	}
	return strings.Join(lines, "; ")
}

// String is a minimal reproduction: the code, the state that it reads, what
// differed, and the case as input for flipvisor exec.
func (f Failure) String() string {
	k := f.Case
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %#x, seed %#x", k, k.In.RIP, k.Seed)
	if k.Form != nil {
		fmt.Fprintf(&b, ", form %s", k.Form)
	}
	b.WriteString("\n  before:")
	var e decode.Effects
	k.Inst.Effects(&e)
	for i, name := range gprNames {
		if k.Form == nil || e.Read.GPR[i]|e.Write.GPR[i]|e.CondWrite.GPR[i] != 0 {
			fmt.Fprintf(&b, " %s=%#x", name, k.In.GPR[i])
		}
	}
	fmt.Fprintf(&b, " flags=%s", flagText(k.In.Flags&comparedFlags))
	if k.Mode != decode.Mode64 {
		fmt.Fprintf(&b, " selectors=%x", k.In.Seg)
	} else if k.In.FSBase|k.In.GSBase != 0 {
		fmt.Fprintf(&b, " fs_base=%#x gs_base=%#x", k.In.FSBase, k.In.GSBase)
	}
	if k.Vector {
		fmt.Fprintf(&b, " mxcsr=%#x fcw=%#x fsw=%#x ftw=%#x", k.In.MXCSR, k.In.FCW, k.In.FSW, k.In.Tag)
		for i, x := range k.In.XMM {
			if k.Form == nil || e.Read.XMM[i]|e.Write.XMM[i]|e.CondWrite.XMM[i] != 0 {
				fmt.Fprintf(&b, " xmm%d=%016x%016x", i, x.Hi, x.Lo)
			}
		}
	}
	for _, p := range k.Mem {
		fmt.Fprintf(&b, " [%#x]=% x", p.Addr, p.Data[:min(len(p.Data), 32)])
	}
	for _, d := range f.Diff {
		b.WriteString("\n  " + d)
	}
	b.WriteString("\n  " + k.exec())
	return b.String()
}

// exec is the case as a line for flipvisor exec. It has no way to say what
// segments other than flat ones are.
func (k *Case) exec() string {
	type region struct {
		At   string `json:"at"`
		Size uint64 `json:"size,omitempty"`
		Hex  string `json:"hex"`
	}
	n := func(v uint64) string { return fmt.Sprintf("%#x", v) }
	var e decode.Effects
	k.Inst.Effects(&e)
	regs := map[string]string{"rflags": n(k.In.Flags)}
	for i, name := range gprNames {
		matters := k.Form == nil || e.Read.GPR[i]|e.Write.GPR[i]|e.CondWrite.GPR[i] != 0
		if matters && k.In.GPR[i] != 0 && (i < 8 || k.Mode == decode.Mode64) {
			regs[name] = n(k.In.GPR[i])
		}
	}
	if k.Mode == decode.Mode64 {
		regs["fs_base"], regs["gs_base"] = n(k.In.FSBase), n(k.In.GSBase)
	}
	if k.Vector {
		for i, x := range k.In.XMM {
			if matters := k.Form == nil || e.Read.XMM[i]|e.Write.XMM[i]|e.CondWrite.XMM[i] != 0; matters && x.Lo|x.Hi != 0 {
				regs[fmt.Sprintf("xmm%d", i)] = fmt.Sprintf("0x%016x%016x", x.Hi, x.Lo)
			}
		}
		regs["mxcsr"], regs["fcw"], regs["fsw"], regs["ftw"] = n(uint64(k.In.MXCSR)), n(uint64(k.In.FCW)), n(uint64(k.In.FSW)), n(uint64(k.In.Tag))
	}
	data := freshData
	for _, p := range k.Mem {
		if p.Addr >= dataBase && p.Addr < dataEnd {
			copy(data[p.Addr-dataBase:], p.Data)
		}
	}
	line, err := json.Marshal(map[string]any{
		"mode": max(int(k.Mode)*8, 32), "code": hex.EncodeToString(k.Code), "at": n(k.linear()), "regs": regs,
		"limit": max(k.Limit, 1), "cpl": 3,
		"memory": k.regions(func(at uint64, b []byte) any { return region{At: n(at), Hex: hex.EncodeToString(b)} }, data[:]),
	})
	if err != nil {
		return err.Error()
	}
	return string(line)
}

// regions gives the data area, of whose pages only the touched are spelled out.
func (k *Case) regions(make func(at uint64, b []byte) any, data []byte) []any {
	var all []any
	lo, hi := areaSize, 0
	note := func(at uint64, n int) {
		if at+512 < dataBase || at > dataEnd+512 {
			return
		}
		from := max(int(int64(at)-dataBase)-32, 0)
		lo, hi = min(lo, from), max(hi, min(from+64+n, areaSize))
	}
	for _, p := range k.Mem {
		note(p.Addr, len(p.Data))
	}
	var e decode.Effects
	k.Inst.Effects(&e)
	for i, v := range k.In.GPR {
		if e.Read.GPR[i] != 0 {
			note(v, 16)
		}
	}
	if lo < hi {
		all = append(all, make(dataBase+uint64(lo), data[lo:hi]))
	}
	return all
}
