campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  bits = "7-3"
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
