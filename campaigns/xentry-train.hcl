# Trains the transition detector's decision tree:
#
#     flipvisor train campaigns/xentry-train.hcl
#
# writes models/xentry.json beside this file, the same bytes every time.
#
# Runs without a fault show what transitions normally look like; runs with
# one show what they look like when it made a difference. The mixes of
# workloads and the seeds are others than those that the model is judged on
# in xentry.hcl, so that it cannot have learnt its examination by heart.

campaign "xentry-train" {
  description = "Training of the transition model"
  overhead    = false
}

# The assertions of the runtime detector are on, because their instructions
# are part of what is counted. The detector to be trained is not.
hypervisor {
  detectors = ["runtime"]
  policy    = "continue"
}

vm "a" {
  workload = "freqmine"
}

vm "b" {
  workload = "canneal"
}

vm "c" {
  workload = "seqread"
}

fault "registers" {
  target "register" {
    names = ["general", "rip", "rflags"]
  }
  trigger "uniform" {
    mode = "root"
  }
}

sample {
  size = 6000
  seed = 777
}

# Each mix is a run of its own; faults are spread over all of them in turn.
# Besides, each mix runs 100 times without a fault and with other seeds: rare
# but healthy transitions must have been seen, or they become false alarms.
train {
  model         = "models/xentry.json"
  clean_runs    = 100
  normal_weight = 100
  window        = 1

  mix {
    workloads = ["freqmine", "canneal", "seqread"]
    seeds     = [11, 12, 13]
  }
  mix {
    workloads = ["x264", "seqwrite", "mcf"]
    seeds     = [21, 22, 23]
  }
  mix {
    workloads = ["bzip2", "freqmine", "x264"]
    seeds     = [31, 32, 33]
  }
  mix {
    workloads = ["postmark", "canneal", "bzip2"]
    seeds     = [41, 42, 43]
  }
  mix {
    workloads = ["mcf", "postmark", "seqwrite"]
    seeds     = [51, 52, 53]
  }
}
