campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  bits = "40-50"
  target "register" {
    names = ["rax"]
  }
  target "register" {
    names = ["rflags"]
  }
  trigger "uniform" {
  }
}
