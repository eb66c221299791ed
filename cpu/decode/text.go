package decode

// Text is the instruction in Intel syntax. pc is its address, for relative
// targets; sym, which may be nil, names addresses.
func (in *Inst) Text(pc uint64, sym func(uint64) (string, uint64)) string { return in.Op.String() }
