# A first campaign. It flips single bits in the registers of a hypervisor
# while three virtual machines run on it, and reports who noticed:
#
#     flipvisor run campaigns/hello.hcl
#
# It takes a few seconds. Change something, run it again, and see what
# becomes of it: this file is meant to be played with. Every block but vm and
# fault can be left out; what stands here is then filled in.

campaign "hello" {
  description = "A first look: bits of the hypervisor's registers"
}

# The program under test. Without an image it is flipvisor's own hypervisor,
# whose sources are in hv/. It has three detectors:
#
#   runtime     reports exceptions that should never happen in a hypervisor,
#               and assertions about its own data that no longer hold
#   transition  asks a decision tree, before each return to a VM, whether the
#               work just done looks like any it has seen go right
#   watchdog    reports one pass through the hypervisor that takes too long
#
# With the policy "continue" a detector only reports, and the run goes on as
# far as it can, so that one run tells both what would have happened and
# whether it was noticed. "stop" is what one would use in earnest.
hypervisor {
  detectors = ["runtime", "transition"]
  policy    = "continue"
}

# The virtual machines. Each runs a small operating system with one workload:
# mcf (network flow), bzip2 (compression), freqmine (data mining), canneal
# (simulated annealing), x264 (motion estimation), postmark (small files),
# seqread and seqwrite (memory). The result is a number that the VM reports;
# if it differs from that of a run without a fault, the fault has silently
# corrupted data, which is the worst that can happen.
vm "compress" {
  workload = "bzip2"
}

vm "mine" {
  workload = "freqmine"
}

vm "files" {
  workload = "postmark"
}

# What to flip, and when. Each experiment draws one bit of the target and one
# moment of the trigger, all equally likely, and changes that one bit once.
# A "uniform" trigger is any instruction that the hypervisor itself executes
# ("root" is what the processor calls its mode) once every VM is ready.
#
# There can be several fault blocks; their weight says how often each is
# drawn. Names can be single registers ("rsp", "cr3", "gdtr.base") or groups:
# general, control, debug, segment, table, msr, sse, x87.
fault "registers" {
  target "register" {
    names = ["general", "rip", "rflags"]
  }
  trigger "uniform" {
    mode = "root"
  }
}

# One fault can also be written out as a sentence. Reports print faults in
# these words, so a line of a report can be pasted here to be looked at more
# closely. With weight 0 a block is never drawn; make it 1 to try it.
fault "by-hand" {
  weight  = 0
  exactly = ["flip bit 40 of register rsp at exit 100 of cpuid + 20"]
}

# How many experiments. Instead of a size, a margin and a confidence can be
# given: margin = 0.01 at a confidence of 0.95 makes 9,604 experiments. The
# seed decides which faults are drawn; the same seed always draws the same.
sample {
  size = 200
  seed = 1
}

# The bar. Here: of the faults that manifested, that is, that did harm, a
# detector should have noticed three in four. There are three verdicts, and
# exit statuses to go with them: the bar is passed (0), failed (1), or the
# sample is too small to say (3). Raise it to 0.9, and two hundred experiments
# are too few; raise it to 0.99, and ask what escapes.
gate {
  min_coverage_manifested = 0.75
  confidence              = 0.95
}
