campaign "c" {
}
hypervisor {
  detectors = ["runtime"]
}
vm "a" {
  workload = "bzip2"
}
fault "f" {
  exactly = ["flip bit 5 of register rax at instruction 7"]
  kind    = "burst"
}
