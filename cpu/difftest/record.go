package difftest

import (
	"bufio"
	"compress/gzip"
	"encoding/gob"
	"fmt"
	"io"

	"github.com/flipvisor/flipvisor/cpu"
	"github.com/flipvisor/flipvisor/cpu/decode"
)

// Recorded is a case with the outcome that a processor gave.
type Recorded struct {
	Mode   decode.Mode
	Flavor Flavor
	Whole  bool // a sequence
	Vector bool
	Self   bool
	Code   []byte
	In     State
	Mem    []Patch
	Marks  []Mark
	Change State // the state after it, each field with the one before it by XOR
	Event  Event
	Stores []Patch // what differs in the data area from the beginning
}

// record runs a case on the host and takes the outcome.
func (h *Host) record(k *Case) (*Recorded, error) {
	var out Outcome
	if err := h.Load(k); err != nil {
		return nil, err
	}
	if err := h.Run(k, &out); err != nil {
		return nil, err
	}
	r := &Recorded{
		Mode: k.Mode, Flavor: k.Flavor, Whole: k.Form == nil, Vector: k.Vector, Self: k.Self, Code: k.Code,
		In: k.In, Mem: k.Mem, Marks: k.Marks, Change: out.State.xor(&k.In), Event: out.Event,
	}
	if !k.Vector {
		r.Change.MXCSR, r.Change.FCW = 0, 0
	}
	before := k.data()
	for i := 0; i < areaSize; i++ {
		if before[i] == out.Data[i] {
			continue
		}
		j := i
		for j < areaSize && before[j] != out.Data[j] {
			j++
		}
		r.Stores = append(r.Stores, Patch{dataBase + uint64(i), append([]byte(nil), out.Data[i:j]...)})
		i = j
	}
	return r, nil
}

// data is the data area at the beginning of a case.
func (k *Case) data() *[areaSize]byte {
	data := freshData
	for _, p := range k.Mem {
		copy(data[p.Addr-dataBase:], p.Data)
	}
	return &data
}

// xor combines two states field by field, so that what did not change is 0.
func (s *State) xor(t *State) State {
	r := *s
	for i := range r.GPR {
		r.GPR[i] ^= t.GPR[i]
	}
	r.RIP ^= t.RIP
	r.Flags ^= t.Flags
	r.FSBase ^= t.FSBase
	r.GSBase ^= t.GSBase
	for i := range r.Seg {
		r.Seg[i] ^= t.Seg[i]
	}
	for i := range r.XMM {
		r.XMM[i].Lo ^= t.XMM[i].Lo
		r.XMM[i].Hi ^= t.XMM[i].Hi
	}
	r.MXCSR ^= t.MXCSR
	r.FCW ^= t.FCW
	r.FSW ^= t.FSW
	r.Tag ^= t.Tag
	for i := range r.ST {
		r.ST[i].Significand ^= t.ST[i].Significand
		r.ST[i].SignExponent ^= t.ST[i].SignExponent
	}
	return r
}

// Case is the case as it was.
func (r *Recorded) Case() (*Case, error) {
	k := &Case{
		Mode: r.Mode, Flavor: r.Flavor, Vector: r.Vector, Self: r.Self, Code: r.Code,
		In: r.In, Mem: r.Mem, Marks: r.Marks, Limit: 50_000,
	}
	if err := decode.DecodeInto(&k.Inst, append(append([]byte(nil), r.Code...), freshText[:16]...), r.Mode); err != nil {
		return nil, fmt.Errorf("% x: %w", r.Code, err)
	}
	if r.Whole {
		k.Inst = decode.Inst{}
		k.End = k.In.RIP + uint64(len(k.Code)) - 1
	} else {
		k.Form = &Form{Key: keyOf(&k.Inst)}
		k.End = k.In.RIP + uint64(len(k.Code))
	}
	for _, p := range k.Mem {
		if p.Addr < dataBase || p.Addr+uint64(len(p.Data)) > dataEnd {
			return nil, fmt.Errorf("% x: memory at %#x", r.Code, p.Addr)
		}
	}
	return k, nil
}

// outcome is what the processor gave.
func (r *Recorded) outcome(k *Case) *Outcome {
	out := &Outcome{State: r.Change.xor(&r.In), Event: r.Event, Data: *k.data(), HasVector: r.Vector}
	for _, p := range r.Stores {
		copy(out.Data[p.Addr-dataBase:], p.Data)
	}
	return out
}

// Replay runs recorded cases on the interpreter alone.
func Replay(all []Recorded) (failed []Failure, err error) {
	e := NewEmulator()
	for i := range all {
		r := &all[i]
		k, err := r.Case()
		if err != nil {
			return failed, fmt.Errorf("recorded case %d: %w", i, err)
		}
		var got Outcome
		var diff []string
		if r.Whole {
			diff = e.RunAll(k, &got)
		} else {
			e.Load(k)
			e.Run(k, &got)
		}
		want := r.outcome(k)
		if diff = append(diff, Compare(k, &got, want)...); diff != nil {
			failed = append(failed, Failure{k, diff, &got, want})
		}
	}
	return failed, nil
}

// quiet gives registers that a single instruction has nothing to do with
// values that take no space.
func (k *Case) quiet() {
	var e decode.Effects
	k.Inst.Effects(&e)
	for i := range k.In.GPR {
		if e.Read.GPR[i]|e.Write.GPR[i]|e.CondWrite.GPR[i] == 0 && (i < 8 || k.Mode == decode.Mode64) {
			k.In.GPR[i] = uint64(i) * 0x1111
		}
	}
	for i := range k.In.XMM {
		if e.Read.XMM[i]|e.Write.XMM[i]|e.CondWrite.XMM[i] == 0 {
			k.In.XMM[i] = cpu.XMM{Lo: uint64(i), Hi: uint64(i)}
		}
	}
	if (e.Read.Sys|e.Write.Sys|e.CondWrite.Sys)&decode.SysX87 == 0 {
		k.In.ST, k.In.Tag, k.In.FSW, k.In.FCW = [8]cpu.ST{}, 0, 0, 0x37F
	}
}

// Record makes recorded cases: one or two of each form, mostly such that
// complete, and some sequences.
func Record(sequences int) ([]Recorded, error) {
	h, err := NewHost()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	var all []Recorded
	take := func(k *Case, complete bool) (ok bool, err error) {
		r, err := h.record(k)
		if err != nil || complete && r.Event != done {
			return false, err
		}
		all = append(all, *r)
		return true, nil
	}
	for _, mode := range [...]decode.Mode{decode.Mode64, decode.Mode32, decode.Mode16} {
		for i, f := range Forms(mode) {
			for try := range uint64(30) {
				k := Generate(f, uint64(i)<<8|try)
				k.quiet()
				if ok, err := take(k, i%6 != 0 && try < 29); err != nil {
					return nil, err
				} else if ok {
					break
				}
			}
		}
	}
	for _, mode := range [...]decode.Mode{decode.Mode64, decode.Mode32} {
		pool := NewPool(mode)
		for i := range sequences / 2 {
			if _, err := take(pool.Sequence(uint64(i)), false); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// WriteRecorded and ReadRecorded are the format of testdata/recorded.gz.
func WriteRecorded(w io.Writer, all []Recorded) error {
	z, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := gob.NewEncoder(z).Encode(all); err != nil {
		return err
	}
	return z.Close()
}

// ReadRecorded reads what WriteRecorded wrote.
func ReadRecorded(r io.Reader) ([]Recorded, error) {
	z, err := gzip.NewReader(bufio.NewReader(r))
	if err != nil {
		return nil, err
	}
	var all []Recorded
	return all, gob.NewDecoder(z).Decode(&all)
}
