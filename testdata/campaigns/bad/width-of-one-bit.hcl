campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  width = 2
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
