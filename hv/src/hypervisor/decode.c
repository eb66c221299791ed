/*
 * Memory-mapped devices. When a guest touches an address where EPT maps
 * nothing, the exit says at which guest-physical address, but not what the
 * instruction wanted there. So fetch it, decode it, and do it: SDM Vol. 2,
 * chapter 2 (format) and appendix A (opcode map).
 *
 * Understood are the instructions with which programs touch devices: MOV in
 * all its forms, MOVZX, MOVSX, MOVSXD, STOS, XCHG, and arithmetic and logic
 * between memory and a register or immediate. The one memory operand is known
 * from the exit, so addressing modes matter only for their length.
 */
#include "hv.h"

#define LAPIC_BASE      0xfee00000ull

/* ---- Devices --------------------------------------------------------- */

static u32 read_word(struct vm *vm, u64 gpa)
{
    if (gpa >= LAPIC_BASE && gpa < LAPIC_BASE + PAGE_SIZE)
        return lapic_read(vm, gpa % PAGE_SIZE & ~15u);
    if (gpa >= HV_MMIO_BASE && gpa < HV_MMIO_BASE + PAGE_SIZE)
        return device_read(vm, gpa % PAGE_SIZE);
    return 0xffffffff;
}

static void write_word(struct vm *vm, u64 gpa, u32 value)
{
    if (gpa >= LAPIC_BASE && gpa < LAPIC_BASE + PAGE_SIZE)
        lapic_write(vm, gpa % PAGE_SIZE & ~15u, value);
    else if (gpa >= HV_MMIO_BASE && gpa < HV_MMIO_BASE + PAGE_SIZE)
        device_write(vm, gpa % PAGE_SIZE, value);
}

/* Devices have registers of four bytes. A narrower read gets its part of one,
 * a narrower write is widened with zeros (11.4.1 leaves it undefined), eight
 * bytes are two registers. */
static u64 device_load(struct vm *vm, u64 gpa, u32 size)
{
    u64 v = read_word(vm, gpa & ~3ull);

    if (size == 8)
        v |= (u64)read_word(vm, (gpa & ~3ull) + 4) << 32;
    return size >= 4 ? v : v >> 8 * (gpa & 3) & (BIT(8 * size) - 1);
}

static void device_store(struct vm *vm, u64 gpa, u32 size, u64 v)
{
    write_word(vm, gpa & ~3ull, (u32)v);
    if (size == 8)
        write_word(vm, (gpa & ~3ull) + 4, (u32)(v >> 32));
}

/* ---- Decoding -------------------------------------------------------- */

struct insn {
    u8 bytes[15];
    u32 available, length;      /* bytes fetched; bytes consumed so far */
    bool rex_present, rep;
    u8 rex, modrm;
    u32 opcode;                 /* 0F xx is 0x0fxx */
    u32 size;                   /* of the operand, in bytes */
    u32 address_size;
    u64 immediate;
    bool bad;                   /* ran out of bytes */
};

#define REX_W   8
#define REX_R   4

static void fetch(const struct vm *vm, struct insn *in)
{
    u64 linear = vmread(GUEST_CS_BASE) + vmread(GUEST_RIP), gpa;

    while (in->available < sizeof(in->bytes)) {
        u64 n = MIN(sizeof(in->bytes) - in->available, PAGE_SIZE - linear % PAGE_SIZE);
        if (!guest_linear_to_physical(vm, linear, &gpa)
            || !guest_read(vm, gpa, in->bytes + in->available, n))
            break;      /* the rest of the instruction need not be there */
        in->available += (u32)n;
        linear += n;
    }
}

static u8 next_byte(struct insn *in)
{
    if (in->length >= in->available) {
        in->bad = true;
        return 0;
    }
    return in->bytes[in->length++];
}

/* Little-endian, sign-extended. */
static u64 next_signed(struct insn *in, u32 size)
{
    u64 v = 0;

    for (u32 i = 0; i < size; i++)
        v |= (u64)next_byte(in) << 8 * i;
    u32 unused = 64 - 8 * size;
    return size ? (u64)((s64)(v << unused) >> unused) : 0;
}

static void skip_addressing(struct insn *in)
{
    u8 mod = in->modrm >> 6, rm = in->modrm & 7;

    if (mod == 3) {
        in->bad = true;     /* no memory operand: then why are we here? */
    } else if (in->address_size == 2) {
        next_signed(in, mod == 2 || (mod == 0 && rm == 6) ? 2 : mod == 1 ? 1 : 0);
    } else {
        u8 base = rm == 4 ? next_byte(in) & 7 : rm;
        next_signed(in, mod == 2 || (mod == 0 && base == 5) ? 4 : mod == 1 ? 1 : 0);
    }
}

static bool has_modrm(u32 opcode)
{
    switch (opcode) {
    case 0xa0 ... 0xa3:     /* MOV moffs */
    case 0xaa: case 0xab:   /* STOS */
        return false;
    }
    return true;
}

/* Byte operands: in this subset always the even opcode of a pair. */
static bool is_byte_operation(u32 opcode)
{
    return opcode == 0x63 || opcode >> 8 ? false : !(opcode & 1);
}

static u32 immediate_size(const struct insn *in)
{
    u32 full = MIN(in->size, 4u);

    switch (in->opcode) {
    case 0x80: case 0x83:   return 1;
    case 0x81:              return full;
    case 0xc6:              return 1;
    case 0xc7:              return full;
    case 0xf6:              return in->modrm >> 3 & 6 ? 0 : 1;      /* TEST only */
    case 0xf7:              return in->modrm >> 3 & 6 ? 0 : full;
    }
    return 0;
}

static bool decode(const struct vm *vm, struct insn *in)
{
    u64 access = vmread(GUEST_CS_ACCESS);
    bool long_mode = access & ACCESS_CODE_LONG, wide = access & ACCESS_CODE_32;
    bool operand_prefix = false, address_prefix = false;
    u8 b;

    fetch(vm, in);
    for (;;) {
        b = next_byte(in);
        if (b == 0x66)
            operand_prefix = true;
        else if (b == 0x67)
            address_prefix = true;
        else if (b == 0xf2 || b == 0xf3)
            in->rep = true;
        else if (b != 0xf0 && b != 0x2e && b != 0x36 && b != 0x3e && b != 0x26 && b != 0x64 && b != 0x65)
            break;
        if (in->bad)
            return false;
    }
    if (long_mode && (b & 0xf0) == 0x40) {
        in->rex = b;
        in->rex_present = true;
        b = next_byte(in);
    }
    in->opcode = b == 0x0f ? 0x0f00u | next_byte(in) : b;

    if (long_mode)
        in->address_size = address_prefix ? 4 : 8;
    else
        in->address_size = wide != address_prefix ? 4 : 2;
    if (is_byte_operation(in->opcode))
        in->size = 1;
    else if (in->rex & REX_W)
        in->size = 8;
    else
        in->size = (wide || long_mode) != operand_prefix ? 4 : 2;

    if (has_modrm(in->opcode)) {
        in->modrm = next_byte(in);
        skip_addressing(in);
    } else if (in->opcode <= 0xa3) {
        next_signed(in, in->address_size);
    }
    in->immediate = next_signed(in, immediate_size(in));
    return !in->bad;
}

/* ---- Registers ------------------------------------------------------- */

static u32 reg_number(const struct insn *in)
{
    return (in->modrm >> 3 & 7) | (in->rex & REX_R ? 8 : 0);
}

/* Without REX, byte registers 4 to 7 are AH, CH, DH and BH (Vol. 2A, 2.2.1.2). */
static bool is_high_byte(const struct insn *in, u32 number, u32 size)
{
    return size == 1 && !in->rex_present && number >= 4 && number < 8;
}

static u64 load_reg(const struct vm *vm, const struct insn *in, u32 number, u32 size)
{
    if (is_high_byte(in, number, size))
        return vm_reg(vm, number - 4) >> 8 & 0xff;
    u64 v = vm_reg(vm, number);
    return size == 8 ? v : v & (BIT(8 * size) - 1);
}

static void store_reg(struct vm *vm, const struct insn *in, u32 number, u32 size, u64 v)
{
    if (is_high_byte(in, number, size)) {
        u64 old = vm_reg(vm, number - 4);
        vm_set_reg(vm, number - 4, (old & ~0xff00ull) | (v & 0xff) << 8);
    } else if (size >= 4) {
        vm_set_reg(vm, number, size == 4 ? (u32)v : v);
    } else {
        u64 mask = BIT(8 * size) - 1;
        vm_set_reg(vm, number, (vm_reg(vm, number) & ~mask) | (v & mask));
    }
}

/* ---- Arithmetic ------------------------------------------------------ */

enum alu { ADD, OR, ADC, SBB, AND, SUB, XOR, CMP }; /* as encoded in bits 5:3 */

#define ARITHMETIC_FLAGS (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

static u64 calculate(enum alu op, u64 a, u64 b, u32 size, u64 *rflags)
{
    u64 sign = BIT(8 * size - 1), mask = sign | (sign - 1);
    u64 carry_in = (op == ADC || op == SBB) && *rflags & RFLAGS_CF ? 1 : 0;
    u64 r, flags = 0, carries = 0;

    a &= mask;
    b &= mask;
    switch (op) {
    case ADD: case ADC:
        r = (a + b + carry_in) & mask;
        carries = (a & b) | ((a | b) & ~r);
        flags |= (a ^ r) & (b ^ r) & sign ? RFLAGS_OF : 0;
        break;
    case SUB: case SBB: case CMP:
        r = (a - b - carry_in) & mask;
        carries = (~a & b) | ((~a | b) & r);
        flags |= (a ^ b) & (a ^ r) & sign ? RFLAGS_OF : 0;
        break;
    case OR:    r = a | b; break;
    case AND:   r = a & b; break;
    default:    r = a ^ b; break;
    }
    flags |= carries & sign ? RFLAGS_CF : 0;
    flags |= carries & 8 ? RFLAGS_AF : 0;
    flags |= r ? 0 : RFLAGS_ZF;
    flags |= r & sign ? RFLAGS_SF : 0;
    flags |= __builtin_popcountll(r & 0xff) & 1 ? 0 : RFLAGS_PF;
    *rflags = (*rflags & ~ARITHMETIC_FLAGS) | flags;
    return r;
}

/* ---- Execution ------------------------------------------------------- */

/* op memory, operand; CMP, and TEST as AND without a result, write nothing. */
static void memory_alu(struct vm *vm, const struct insn *in, u64 gpa, enum alu op, u64 operand, bool keep)
{
    u64 rflags = vmread(GUEST_RFLAGS);
    u64 r = calculate(op, device_load(vm, gpa, in->size), operand, in->size, &rflags);

    if (keep && op != CMP)
        device_store(vm, gpa, in->size, r);
    vmwrite(GUEST_RFLAGS, rflags);
}

/* op register, memory. */
static void register_alu(struct vm *vm, const struct insn *in, u64 gpa, enum alu op)
{
    u32 reg = reg_number(in);
    u64 rflags = vmread(GUEST_RFLAGS);
    u64 r = calculate(op, load_reg(vm, in, reg, in->size), device_load(vm, gpa, in->size), in->size, &rflags);

    if (op != CMP)
        store_reg(vm, in, reg, in->size, r);
    vmwrite(GUEST_RFLAGS, rflags);
}

static u64 sign_extend(u64 v, u32 size)
{
    u32 unused = 64 - 8 * size;

    return (u64)((s64)(v << unused) >> unused);
}

/* One STOS. With REP the guest comes back for each element, until RCX is 0. */
static bool store_string(struct vm *vm, const struct insn *in, u64 gpa)
{
    u64 mask = in->address_size == 8 ? ~0ull : BIT(8 * in->address_size) - 1;
    u64 step = vmread(GUEST_RFLAGS) & RFLAGS_DF ? -(u64)in->size : in->size;
    u64 rdi = vm->regs[RDI], rcx = vm->regs[RCX];

    device_store(vm, gpa, in->size, load_reg(vm, in, RAX, in->size));
    rdi = (rdi & ~mask) | ((rdi + step) & mask);
    vm->regs[RDI] = mask == 0xffffffff ? (u32)rdi : rdi;
    if (!in->rep)
        return true;
    rcx = (rcx & ~mask) | ((rcx - 1) & mask);
    vm->regs[RCX] = mask == 0xffffffff ? (u32)rcx : rcx;
    return !(rcx & mask);
}

/* Carry it out. False: not an instruction that we know. */
static bool execute(struct vm *vm, const struct insn *in, u64 gpa, bool *done)
{
    u32 reg = reg_number(in), group = in->modrm >> 3 & 7;

    *done = true;
    switch (in->opcode) {
    case 0x88: case 0x89:   /* MOV r/m, r */
        device_store(vm, gpa, in->size, load_reg(vm, in, reg, in->size));
        return true;
    case 0x8a: case 0x8b:   /* MOV r, r/m */
        store_reg(vm, in, reg, in->size, device_load(vm, gpa, in->size));
        return true;
    case 0xa0: case 0xa1:   /* MOV rAX, moffs */
        store_reg(vm, in, RAX, in->size, device_load(vm, gpa, in->size));
        return true;
    case 0xa2: case 0xa3:   /* MOV moffs, rAX */
        device_store(vm, gpa, in->size, load_reg(vm, in, RAX, in->size));
        return true;
    case 0xc6: case 0xc7:   /* MOV r/m, imm */
        if (group)
            return false;
        device_store(vm, gpa, in->size, in->immediate);
        return true;
    case 0x0fb6: case 0x0fb7: {     /* MOVZX */
        u32 narrow = in->opcode & 1 ? 2 : 1;
        store_reg(vm, in, reg, in->size, device_load(vm, gpa, narrow));
        return true;
    }
    case 0x0fbe: case 0x0fbf: {     /* MOVSX */
        u32 narrow = in->opcode & 1 ? 2 : 1;
        store_reg(vm, in, reg, in->size, sign_extend(device_load(vm, gpa, narrow), narrow));
        return true;
    }
    case 0x63:              /* MOVSXD; ARPL outside 64-bit mode */
        if (!(vmread(GUEST_CS_ACCESS) & ACCESS_CODE_LONG))
            return false;
        store_reg(vm, in, reg, in->size, sign_extend(device_load(vm, gpa, 4), 4));
        return true;
    case 0x86: case 0x87: { /* XCHG */
        u64 old = device_load(vm, gpa, in->size);
        device_store(vm, gpa, in->size, load_reg(vm, in, reg, in->size));
        store_reg(vm, in, reg, in->size, old);
        return true;
    }
    case 0x84: case 0x85:   /* TEST r/m, r */
        memory_alu(vm, in, gpa, AND, load_reg(vm, in, reg, in->size), false);
        return true;
    case 0x80: case 0x81: case 0x83:    /* group 1: op r/m, imm */
        memory_alu(vm, in, gpa, (enum alu)group, in->immediate, true);
        return true;
    case 0xf6: case 0xf7:   /* group 3: TEST r/m, imm */
        if (group > 1)
            return false;
        memory_alu(vm, in, gpa, AND, in->immediate, false);
        return true;
    case 0xaa: case 0xab:   /* STOS */
        *done = store_string(vm, in, gpa);
        return true;
    }
    if (in->opcode < 0x40 && (in->opcode & 7) < 4) {    /* ADD to CMP, both ways */
        enum alu op = (enum alu)(in->opcode >> 3);
        if (in->opcode & 2)
            register_alu(vm, in, gpa, op);
        else
            memory_alu(vm, in, gpa, op, load_reg(vm, in, reg, in->size), true);
        return true;
    }
    return false;
}

void exit_ept_violation(struct vm *vm)
{
    u64 gpa = vmread(GUEST_PHYSICAL_ADDRESS), host;
    struct insn in = { .length = 0 };
    bool done;

    /* RAM that the hardware found missing: the tables have changed under it. */
    CHECK(EPT_ENTRY, !ept_translate(vm, gpa, &host));

    /* In the middle of delivering an event, or of walking the guest's page
     * tables (table 28-7), there is no instruction to do. */
    bool by_operand = (vmread(EXIT_QUALIFICATION) & (BIT(7) | BIT(8))) == (BIT(7) | BIT(8));
    if (by_operand && !(vm->event & INTR_VALID) && decode(vm, &in) && execute(vm, &in, gpa, &done)) {
        if (done)
            vm_skip_bytes(in.length);
        return;
    }
    log_line("vm%u: at rip %llx, cannot emulate access to %llx; instruction %02x %02x %02x %02x %02x %02x",
             vm->config.id, vmread(GUEST_RIP), gpa, in.bytes[0], in.bytes[1], in.bytes[2], in.bytes[3],
             in.bytes[4], in.bytes[5]);
    vm_stop(vm, VM_STOP_KILLED, REASON_EPT_VIOLATION);
}
