campaign "c" {
}
hypervisor {
  detectors = ["runtime", "transitions"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
