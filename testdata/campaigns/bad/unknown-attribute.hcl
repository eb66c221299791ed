campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  worklod = "bzip2"
}
fault "f" {
  target "register" {
    names = ["rax"]
  }
  trigger "uniform" {
  }
}
