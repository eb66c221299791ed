campaign "c" {
}
machine {
  cache "l1d" {
    size = "48KiB"
  }
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
  trigger "uniform" {
  }
}
