campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  kind = "burst"
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
