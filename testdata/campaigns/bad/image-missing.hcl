campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
  image     = "no-such.elf"
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
