campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  target "memory" {
    symbol = "image_end"
  }
  trigger "uniform" {
  }
}
