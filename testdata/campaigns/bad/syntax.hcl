campaign "c" {
}
vm "a" {
  workload = 
}
