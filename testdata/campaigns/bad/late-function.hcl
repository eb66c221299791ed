campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "symbol" {
    name = "vmexit_dispach+0x10"
  }
}
